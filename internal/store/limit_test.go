package store_test

import (
	"testing"

	"agentstudio/internal/limit/limittest"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestProcessesOnOneDatabaseCountTogether(t *testing.T) {
	db := storetest.Postgres(t)
	limittest.Run(t, store.NewRates(db), store.NewRates(db))
}
