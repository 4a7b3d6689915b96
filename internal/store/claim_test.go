package store_test

import (
	"testing"

	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

func TestOneProcessRunsTheExecutionsOfADatabase(t *testing.T) {
	url := storetest.PostgresURL(t)
	first := storetest.Open(t, store.Config{URL: url, MaxConns: 2})
	second := storetest.Open(t, store.Config{URL: url, MaxConns: 2})
	release, err := first.HoldDispatch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.HoldDispatch(t.Context()); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second process got in: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	release, err = second.HoldDispatch(t.Context())
	if err != nil {
		t.Fatalf("it was not given back: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}
