package store_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"agentstudio/internal/access"
	"agentstudio/internal/account"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
)

// desk is an account service with a clock that is moved by hand and a mailer
// that keeps the last letter.
type desk struct {
	*account.Service
	t      *testing.T
	store  *store.Accounts
	mu     sync.Mutex
	now    time.Time
	letter string
	down   bool
}

func (d *desk) Send(_ context.Context, _, _, text string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return fault.New(fault.Upstream, "down")
	}
	d.letter = text
	return nil
}

func (d *desk) clock() time.Time { d.mu.Lock(); defer d.mu.Unlock(); return d.now }
func (d *desk) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

func secret(fill string) []byte { return []byte(strings.Repeat(fill, 32)) }

func newDesk(t *testing.T, db *store.DB, signup account.Signup, secrets ...[]byte) *desk {
	t.Helper()
	if len(secrets) == 0 {
		secrets = [][]byte{secret("a")}
	}
	d := &desk{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), store: store.NewAccounts(db)}
	s, err := account.NewService(d.store, d, secrets, account.Config{Signup: signup, Now: d.clock})
	if err != nil {
		t.Fatal(err)
	}
	d.Service = s
	return d
}

func (d *desk) code(email string) string {
	d.t.Helper()
	if err := d.RequestCode(context.Background(), email); err != nil {
		d.t.Fatal(err)
	}
	return regexp.MustCompile(`\b\d{6}\b`).FindString(d.letter)
}

func (d *desk) enter(email string) (account.Tokens, access.Actor) {
	d.t.Helper()
	tokens, err := d.SignIn(context.Background(), access.Actor{IP: "192.0.2.1", UserAgent: "test"}, email, d.code(email), "")
	if err != nil {
		d.t.Fatal(err)
	}
	by, err := d.Authenticate(context.Background(), tokens.Access)
	if err != nil {
		d.t.Fatal(err)
	}
	return tokens, by
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("error = %v, want %s", err, kind)
	}
}

func TestFirstAccountIsAdministratorWithPersonalWorkspace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupClosed)
		tokens, by := d.enter(" Ann@X.test ")
		if tokens.User.Email != "ann@x.test" || !by.Admin || by.Personal == "" || by.Roles[by.Personal] != access.Owner {
			t.Fatalf("tokens = %+v, actor = %+v", tokens.User, by)
		}
		again, _ := d.enter("ann@x.test")
		if again.User.ID != tokens.User.ID {
			t.Fatal("signing in again made another account")
		}
		if code := d.code("bob@x.test"); code != "" {
			t.Fatal("a closed installation gave a stranger a code")
		}
	})
}

func TestOnlyOneOfTwoFirstAccountsIsAdministrator(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		emails := []string{"a@x.test", "b@x.test", "a@y.test", "b@y.test"}
		codes := make([]string, len(emails))
		for i, e := range emails {
			codes[i] = d.code(e)
		}
		var wg sync.WaitGroup
		admins := make([]bool, len(emails))
		errs := make([]error, len(emails))
		for i, e := range emails {
			wg.Go(func() {
				tokens, err := d.SignIn(context.Background(), access.Actor{}, e, codes[i], "")
				admins[i], errs[i] = tokens.User.IsAdmin, err
			})
		}
		wg.Wait()
		n := 0
		for _, admin := range admins {
			if admin {
				n++
			}
		}
		if err := errors.Join(errs...); err != nil || n != 1 {
			t.Fatalf("%d administrators, err = %v", n, err)
		}
	})
}

func TestCodeIsSingleUseExpiresLocksAndNewestWins(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		try := func(code string) error {
			_, err := d.SignIn(ctx, access.Actor{}, "ann@x.test", code, "")
			return err
		}
		wantKind(t, try("123456"), fault.Unauthenticated)
		old := d.code("ann@x.test")
		code := d.code("ann@x.test")
		if old != code {
			wantKind(t, try(old), fault.Unauthenticated)
		}
		if err := try(code); err != nil {
			t.Fatal(err)
		}
		wantKind(t, try(code), fault.Unauthenticated)

		code = d.code("ann@x.test")
		d.pass(account.CodeTTL)
		wantKind(t, try(code), fault.Unauthenticated)

		code = d.code("ann@x.test")
		for range 5 {
			wantKind(t, try("x"+code[1:]), fault.Unauthenticated)
		}
		wantKind(t, try(code), fault.Unauthenticated)
		d.down = true
		wantKind(t, d.RequestCode(ctx, "ann@x.test"), fault.Upstream)
		for _, bad := range []string{"", "ann", "ann@", "a@b", "a b@x.test", "Ann <ann@x.test>", "a@x.test\r\nBcc: b@x.test"} {
			wantKind(t, d.RequestCode(ctx, bad), fault.Invalid)
		}
	})
}

func TestRotatedTokenUsedAgainRevokesFamily(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		first, _ := d.enter("ann@x.test")
		other, _ := d.enter("ann@x.test")
		second, err := d.Refresh(ctx, first.Refresh)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Refresh(ctx, first.Refresh)
		wantKind(t, err, fault.Unauthenticated)
		_, err = d.Refresh(ctx, second.Refresh)
		wantKind(t, err, fault.Unauthenticated)
		_, err = d.Authenticate(ctx, second.Access)
		wantKind(t, err, fault.Unauthenticated)
		if _, err := d.Refresh(ctx, other.Refresh); err != nil {
			t.Fatalf("another device was signed out too: %v", err)
		}
		_, err = d.Refresh(ctx, first.Access)
		wantKind(t, err, fault.Unauthenticated)
	})
}

func TestOfConcurrentRefreshesAtMostOneSucceeds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		tokens, _ := d.enter("ann@x.test")
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = d.Refresh(context.Background(), tokens.Refresh) })
		}
		wg.Wait()
		ok := 0
		for _, err := range errs {
			if err == nil {
				ok++
			}
		}
		if ok > 1 {
			t.Fatalf("%d refreshes succeeded", ok)
		}
	})
}

func TestRefreshSlidesAndEndsAfterAWeekOfSilence(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t, storetest.SQLite(t), account.SignupOpen)
	tokens, _ := d.enter("ann@x.test")
	for range 3 {
		d.pass(6 * 24 * time.Hour)
		var err error
		if tokens, err = d.Refresh(ctx, tokens.Refresh); err != nil {
			t.Fatal(err)
		}
	}
	d.pass(account.RefreshTTL)
	_, err := d.Refresh(ctx, tokens.Refresh)
	wantKind(t, err, fault.Unauthenticated)
}

func TestForgedAndForeignTokensAreRefused(t *testing.T) {
	ctx := context.Background()
	db := storetest.SQLite(t)
	d := newDesk(t, db, account.SignupOpen, secret("b"), secret("a"))
	old := newDesk(t, db, account.SignupOpen, secret("a"))
	tokens, by := old.enter("ann@x.test")
	if _, err := d.Authenticate(ctx, tokens.Access); err != nil {
		t.Fatalf("a token of the key before was refused: %v", err)
	}
	renewed, err := d.Refresh(ctx, tokens.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	_, err = old.Authenticate(ctx, renewed.Access)
	wantKind(t, err, fault.Unauthenticated)

	claims := jwt.MapClaims{"sub": by.UserID, "sid": by.SessionID, "type": "access", "exp": d.now.Add(time.Hour).Unix()}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "x", none, tokens.Refresh, tokens.Access + "x", "ask_unknown"} {
		_, err := d.Authenticate(ctx, bad)
		wantKind(t, err, fault.Unauthenticated)
	}
	d.pass(account.AccessTTL)
	_, err = d.Authenticate(ctx, renewed.Access)
	wantKind(t, err, fault.Unauthenticated)
	if _, err := account.NewService(d.store, d, [][]byte{[]byte("short")}, account.Config{}); err == nil {
		t.Fatal("a weak key was accepted")
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		_, by := d.enter("ann@x.test")
		other, _ := d.enter("ann@x.test")
		_, stranger := d.enter("bob@x.test")
		list, err := d.Sessions(ctx, by)
		if err != nil || len(list) != 2 || list[0].UserAgent != "test" {
			t.Fatalf("sessions = %+v, err = %v", list, err)
		}
		wantKind(t, d.EndSession(ctx, stranger, by.SessionID), fault.NotFound)
		if err := d.EndSession(ctx, by, by.SessionID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, d.EndSession(ctx, by, by.SessionID), fault.NotFound)
		if err := d.SignOut(ctx, access.Actor{}, other.Refresh); err != nil {
			t.Fatal(err)
		}
		_, err = d.Authenticate(ctx, other.Access)
		wantKind(t, err, fault.Unauthenticated)
	})
}

func TestAPIKeyActsInOneWorkspaceWithinItsScopes(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		_, by := d.enter("ann@x.test")
		_, bob := d.enter("bob@x.test")
		expires := d.now.Add(time.Hour)
		k, secret, err := d.CreateAPIKey(ctx, by, account.NewKey{Name: "ci", Scopes: []access.Scope{"read"}, ExpiresAt: &expires})
		if err != nil {
			t.Fatal(err)
		}
		key, err := d.Authenticate(ctx, secret)
		if err != nil || key.Need(by.Personal, access.Read) != nil {
			t.Fatalf("key = %+v, err = %v", key, err)
		}
		wantKind(t, key.Need(by.Personal, access.Write), fault.Forbidden)
		wantKind(t, key.Need(bob.Personal, access.Read), fault.NotFound)
		_, _, err = d.CreateAPIKey(ctx, key, account.NewKey{Name: "more", Scopes: []access.Scope{"write"}})
		wantKind(t, err, fault.Forbidden)
		_, _, err = d.CreateAPIKey(ctx, by, account.NewKey{WorkspaceID: bob.Personal, Name: "x", Scopes: []access.Scope{"read"}})
		wantKind(t, err, fault.NotFound)
		past := d.now
		_, _, err = d.CreateAPIKey(ctx, by, account.NewKey{Scopes: []access.Scope{"root"}, ExpiresAt: &past})
		if e := fault.As(err); e == nil || len(e.Details) != 3 {
			t.Fatalf("error = %v, want all three faults", err)
		}
		list, err := d.APIKeys(ctx, by)
		if err != nil || len(list) != 1 || list[0].LastUsedAt == nil || strings.Contains(list[0].Prefix, secret) {
			t.Fatalf("keys = %+v, err = %v", list, err)
		}
		wantKind(t, d.DeleteAPIKey(ctx, bob, k.ID), fault.NotFound)
		d.pass(time.Hour)
		_, err = d.Authenticate(ctx, secret)
		wantKind(t, err, fault.Unauthenticated)
		if err := d.DeleteAPIKey(ctx, by, k.ID); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTicketIsGoodOnceForThirtySeconds(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		_, by := d.enter("ann@x.test")
		ticket, err := d.NewTicket(ctx, by)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.SpendTicket(ctx, ticket)
		if err != nil || got.UserID != by.UserID {
			t.Fatalf("actor = %+v, err = %v", got, err)
		}
		_, err = d.SpendTicket(ctx, ticket)
		wantKind(t, err, fault.Unauthenticated)
		ticket, _ = d.NewTicket(ctx, by)
		d.pass(account.TicketTTL)
		_, err = d.SpendTicket(ctx, ticket)
		wantKind(t, err, fault.Unauthenticated)
	})
}

func TestProfileIsChangedWithinItsRules(t *testing.T) {
	ctx := context.Background()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db, account.SignupOpen)
		_, by := d.enter("ann@x.test")
		name, avatar := "Ann", "https://x.test/a.png"
		at := &avatar
		u, err := d.UpdateMe(ctx, by, &name, &at)
		if err != nil || u.FullName != "Ann" || *u.AvatarURL != avatar {
			t.Fatalf("user = %+v, err = %v", u, err)
		}
		at = nil
		if u, err = d.UpdateMe(ctx, by, nil, &at); err != nil || u.AvatarURL != nil || u.FullName != "Ann" {
			t.Fatalf("user = %+v, err = %v", u, err)
		}
		long, script := strings.Repeat("x", 256), "javascript:alert(1)"
		at = &script
		_, err = d.UpdateMe(ctx, by, &long, &at)
		if e := fault.As(err); e == nil || len(e.Details) != 2 {
			t.Fatalf("error = %v, want both faults", err)
		}
	})
}
