package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"agentstudio/internal/access"
	"agentstudio/internal/account"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// Whoever asks all the time keeps identities remembered; what was ended must
// be refused from the answer on all the same.
func TestEndedKeysAndSessionsAreRefusedAtOnceWhileTheyAreUsed(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		for range 20 {
			tokens, by := d.enter("ann@x.test")
			k, secret, err := d.CreateAPIKey(ctx, by, account.NewKey{Name: "ci", Scopes: []access.Scope{"read"}})
			if err != nil {
				t.Fatal(err)
			}
			var users sync.WaitGroup
			done := make(chan struct{})
			for _, credential := range []string{secret, tokens.Access} {
				if _, err := d.Authenticate(ctx, credential); err != nil {
					t.Fatal(err)
				}
				users.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
							_, err := d.Authenticate(ctx, credential)
							if err != nil && !fault.Is(err, fault.Unauthenticated) {
								t.Error(err)
							}
						}
					}
				})
			}
			if err := d.DeleteAPIKey(ctx, by, k.ID); err != nil {
				t.Error(err)
			}
			_, err = d.Authenticate(ctx, secret)
			if !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("a deleted key was answered %v", err)
			}
			if err := d.SignOut(ctx, by, ""); err != nil {
				t.Error(err)
			}
			_, err = d.Authenticate(ctx, tokens.Access)
			if !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("an ended session was answered %v", err)
			}
			close(done)
			users.Wait()
		}
	})
}

// What changes an identity has to go through writeIdentity, or it is not seen
// where identities are remembered.
func TestEveryChangeOfAnIdentityMakesAllBeForgotten(t *testing.T) {
	changes := regexp.MustCompile(`(?i)(INSERT INTO|UPDATE|DELETE FROM) (users|sessions|api_keys|members|workspaces)\b`)
	plain := regexp.MustCompile(`\bdb\.Write\(`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("UPDATE workspaces SET version = version "), nil) // only takes the row's lock
		if regexp.MustCompile(`_test\.go$`).MatchString(name) || !changes.Match(text) {
			continue
		}
		seen++
		if n := len(plain.FindAll(text, -1)); n > 0 {
			t.Errorf("%s changes identities and calls Write %d times: use writeIdentity", name, n)
		}
	}
	if seen == 0 {
		t.Error("no file changes identities: the test looks for the wrong words")
	}
}
