package store

import (
	"testing"
	"time"

	"agentstudio/internal/access"
)

func TestFirstIdentityAfterStartIsRemembered(t *testing.T) {
	var known identities
	known.remember("a", known.generation.Load(), identity{by: access.Actor{UserID: "ann"}})
	if found, ok := known.find("a", known.generation.Load(), time.Now()); !ok || found.by.UserID != "ann" {
		t.Errorf("found %+v, %v", found.by, ok)
	}
}

func TestIdentityReadBeforeAChangeIsNotRemembered(t *testing.T) {
	var known identities
	before := known.generation.Load()
	known.generation.Add(1)
	known.remember("a", before, identity{by: access.Actor{UserID: "ann"}})
	if _, ok := known.find("a", known.generation.Load(), time.Now()); ok {
		t.Error("what was read before the change was found after it")
	}
	known.remember("b", known.generation.Load(), identity{by: access.Actor{UserID: "bob"}})
	known.remember("a", before, identity{by: access.Actor{UserID: "ann"}})
	if _, ok := known.find("a", known.generation.Load(), time.Now()); ok {
		t.Error("what was read before the change was taken for what is known after it")
	}
	if _, ok := known.find("b", known.generation.Load(), time.Now()); !ok {
		t.Error("what was read late made others be forgotten")
	}
}

func TestIdentityIsForgottenWhenItExpires(t *testing.T) {
	var known identities
	now := time.Now()
	known.remember("a", 0, identity{expires: now.Add(time.Minute)})
	if _, ok := known.find("a", 0, now.Add(time.Minute)); ok {
		t.Error("an expired identity was found")
	}
}

func TestRememberedIdentitiesAreBounded(t *testing.T) {
	var known identities
	for i := range 2 * maxIdentities {
		known.remember(time.Unix(int64(i), 0).String(), 0, identity{})
		if len(known.of) > maxIdentities {
			t.Fatalf("%d are remembered", len(known.of))
		}
	}
}
