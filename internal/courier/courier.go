// Package courier writes to approvers. What is to be written is in the tables,
// in the commit that asked for it, until the mail server has taken the letter:
// none is lost. A process that dies between the two leaves it to be sent again
// after a while: an approver may then get the same letter twice.
package courier

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
)

// Store is what a courier needs of the tables.
type Store interface {
	// Address turns asks into letters, one for each approver.
	Address(ctx context.Context, now time.Time, limit int) (more bool, err error)
	// Letters takes letters that are due; nobody else gets them while held.
	Letters(ctx context.Context, now time.Time, held time.Duration, limit int) (due []execution.Letter, next time.Time, err error)
	AskOf(ctx context.Context, l execution.Letter) (*execution.Ask, error)
	Sent(ctx context.Context, l execution.Letter) error
}

// Mailer sends one plain-text letter.
type Mailer interface {
	Send(ctx context.Context, to, subject, text string) error
}

// Config adjusts a Courier; zero values are useful.
type Config struct {
	PublicURL string // what links begin with
	Now       func() time.Time
	Log       *slog.Logger
	Asked     <-chan struct{} // hears that there may be something to write
	Glance    time.Duration   // how often the tables are looked at whatever happens; 10 s
	Held      time.Duration   // how long a letter in hand, or refused, is left alone; 2 minutes
	LinkLife  time.Duration   // of links whose ask never expires; 7 days
}

// Courier sends letters. Any number may run on one database.
type Courier struct {
	store  Store
	mailer Mailer
	links  *execution.Links
	cfg    Config
}

const (
	atOnce      = 100
	maxAttempts = 20
)

// New returns a courier.
func New(store Store, mailer Mailer, links *execution.Links, cfg Config) *Courier {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Glance <= 0 {
		cfg.Glance = 10 * time.Second
	}
	if cfg.Held <= 0 {
		cfg.Held = 2 * time.Minute
	}
	if cfg.LinkLife <= 0 {
		cfg.LinkLife = 7 * 24 * time.Hour
	}
	return &Courier{store: store, mailer: mailer, links: links, cfg: cfg}
}

// Run sends what is to be sent until ctx ends.
func (c *Courier) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.round(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Log.Error("letters cannot be sent", "error", err)
		}
		timer := time.NewTimer(c.cfg.Glance)
		select {
		case <-ctx.Done():
		case <-c.cfg.Asked:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// round sends everything that is due.
func (c *Courier) round(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = c.store.Address(ctx, c.cfg.Now(), atOnce); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		due, _, err := c.store.Letters(ctx, c.cfg.Now(), c.cfg.Held, atOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, l := range due {
			if err := c.send(ctx, l); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// send writes one letter. One that the mail server does not take stays for
// later; nobody is written to about what is decided.
func (c *Courier) send(ctx context.Context, l execution.Letter) error {
	a, err := c.store.AskOf(ctx, l)
	if fault.Is(err, fault.NotFound) || err == nil && a.State(c.cfg.Now()) != nil {
		return c.store.Sent(ctx, l)
	}
	if err != nil {
		return err
	}
	if err := c.mailer.Send(ctx, l.Address, "Your decision is wanted: "+oneLine(a.WorkflowName), c.text(a, l.Address)); err != nil {
		if l.Attempts+1 < maxAttempts {
			c.cfg.Log.Warn("a letter to an approver was not taken and will be tried again", "ask_id", l.AskID, "error", err)
			return nil
		}
		c.cfg.Log.Error("a letter to an approver is given up", "ask_id", l.AskID, "attempts", maxAttempts, "error", err)
	}
	return c.store.Sent(context.WithoutCancel(ctx), l)
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

func (c *Courier) text(a *execution.Ask, email string) string {
	expires := a.ExpiresAt
	if expires.IsZero() {
		expires = c.cfg.Now().Add(c.cfg.LinkLife)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The workflow %q waits for your decision at %q:\n\n%s\n\n", a.WorkflowName, a.NodeTitle, a.Message)
	link := func(approve bool) string {
		return strings.TrimRight(c.cfg.PublicURL, "/") + "/hooks/_approval/" + c.links.Write(execution.Link{WorkspaceID: a.WorkspaceID, AskID: a.ID, Approve: approve, Email: email, Expires: expires.Unix()})
	}
	if len(a.Form) > 0 && !a.FormOptional {
		b.WriteString("To approve it there is a form to fill in: do that in the studio.\n")
	} else {
		fmt.Fprintf(&b, "Approve: %s\n", link(true))
	}
	fmt.Fprintf(&b, "Reject:  %s\n\nThe links ask you once more before anything happens, and are for you alone. They are good until %s. The first decision counts.\n",
		link(false), expires.UTC().Format("2006-01-02 15:04 MST"))
	return b.String()
}
