package app

import (
	"context"
	"regexp"
	"sync"

	"agentstudio/internal/access"
	"agentstudio/internal/account"
	"agentstudio/internal/fault"
	"agentstudio/internal/store"
)

// pocket is a letter box in memory.
type pocket struct {
	mu   sync.Mutex
	text string
}

func (p *pocket) Send(_ context.Context, _, _, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
	return nil
}

func (p *pocket) code() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return regexp.MustCompile(`\b\d{6}\b`).FindString(p.text)
}

// Operator returns the account of an address, made when there is none, as an
// actor. It is for commands of whoever holds the data directory: it goes the
// way of a sign-in, without the mail.
func (a *App) Operator(ctx context.Context, email string) (access.Actor, error) {
	box := &pocket{}
	secrets, err := sessionKeys(a.cfg, a.opts.Log)
	if err != nil {
		return access.Actor{}, err
	}
	accounts, err := account.NewService(store.NewAccounts(a.db), box, secrets, account.Config{})
	if err != nil {
		return access.Actor{}, err
	}
	if err := accounts.RequestCode(ctx, email); err != nil {
		return access.Actor{}, err
	}
	by := access.Actor{UserAgent: "agentstudio command"}
	tokens, err := accounts.SignIn(ctx, by, email, box.code(), "")
	if err != nil {
		return access.Actor{}, err
	}
	actor, err := accounts.Authenticate(ctx, tokens.Access)
	if err != nil {
		return access.Actor{}, err
	}
	if actor.Personal == "" {
		return access.Actor{}, fault.New(fault.Conflict, "%s has no personal workspace", email)
	}
	return actor, nil
}
