// Package mail sends plain-text letters: by SMTP, by SendGrid, or, without
// either, by printing them to the server's log.
package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"agentstudio/internal/fault"
)

const timeout = 15 * time.Second

// Sender sends one letter. It fails with fault.Upstream when the mail server
// does not take it.
type Sender interface {
	Send(ctx context.Context, to, subject, text string) error
}

// Config says how letters leave.
type Config struct {
	SMTPURL     string // smtp://user:pass@host:port (STARTTLS where offered) or smtps://
	SendGridKey string // used when SMTPURL is empty
	SendGridURL string // default https://api.sendgrid.com
	From        string // default "Agent Studio <studio@localhost>"
	Log         *slog.Logger
}

// New returns the sender the Config asks for; without a server, one that
// writes each letter to the log and says so.
func New(cfg Config) (Sender, error) {
	if cfg.From == "" {
		cfg.From = "Agent Studio <studio@localhost>"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := gomail.NewMsg()
	if err := m.From(cfg.From); err != nil {
		return nil, errors.New("EMAIL_FROM is not an address such as \"Agent Studio <studio@example.org>\"")
	}
	switch {
	case cfg.SMTPURL != "":
		return newSMTP(cfg)
	case cfg.SendGridKey != "":
		if cfg.SendGridURL == "" {
			cfg.SendGridURL = "https://api.sendgrid.com"
		}
		from := m.GetFrom()[0]
		return &sendGrid{url: cfg.SendGridURL + "/v3/mail/send", key: cfg.SendGridKey, from: address{from.Address, from.Name}, client: &http.Client{Timeout: timeout}}, nil
	}
	return printer{log: cfg.Log}, nil
}

type smtp struct {
	host string
	from string
	tls  bool // from the first byte
	opts []gomail.Option
}

func newSMTP(cfg Config) (Sender, error) {
	u, err := url.Parse(cfg.SMTPURL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		return nil, errors.New("SMTP_URL cannot be read: write smtp://user:password@host:587 or smtps://…")
	}
	s := &smtp{host: u.Hostname(), from: cfg.From, opts: []gomail.Option{gomail.WithTimeout(timeout)}}
	port := 587
	if u.Scheme == "smtps" {
		port = 465
		s.tls = true
		s.opts = append(s.opts, gomail.WithSSL())
	} else {
		s.opts = append(s.opts, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil {
			return nil, errors.New("SMTP_URL has a port that is no number")
		}
	}
	s.opts = append(s.opts, gomail.WithPort(port))
	if u.User != nil {
		password, _ := u.User.Password()
		s.opts = append(s.opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	if _, err := gomail.NewClient(s.host, s.opts...); err != nil {
		return nil, fmt.Errorf("set up mail: %w", err)
	}
	return s, nil
}

func (s *smtp) Send(ctx context.Context, to, subject, text string) error {
	m := gomail.NewMsg()
	if err := errors.Join(m.From(s.from), m.To(to)); err != nil {
		return fault.Wrap(fault.Upstream, err, "the letter cannot be addressed")
	}
	m.Subject(subject)
	m.SetBodyString(gomail.TypeTextPlain, text)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := gomail.NewClient(s.host, append(slices.Clone(s.opts), gomail.WithDialContextFunc(s.dialFor(ctx)))...)
	if err != nil {
		return fmt.Errorf("set up mail: %w", err)
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		return fault.Wrap(fault.Upstream, err, "the mail server did not take the letter; try again later")
	}
	return nil
}

// dialFor connects such that the end of ctx cuts the connection: the library
// looks at it only while it connects.
func (s *smtp) dialFor(ctx context.Context) gomail.DialContextFunc {
	return func(dialling context.Context, network, address string) (c net.Conn, err error) {
		if s.tls {
			c, err = (&tls.Dialer{Config: &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12}}).DialContext(dialling, network, address)
		} else {
			c, err = (&net.Dialer{}).DialContext(dialling, network, address)
		}
		if err == nil {
			context.AfterFunc(ctx, func() { _ = c.Close() }) // closed twice when all went well
		}
		return c, err
	}
}

type address struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}

type sendGrid struct {
	url, key string
	from     address
	client   *http.Client
}

func (s *sendGrid) Send(ctx context.Context, to, subject, text string) error {
	body, err := json.Marshal(map[string]any{
		"personalizations": []any{map[string]any{"to": []address{{Email: to}}}},
		"from":             s.from,
		"subject":          subject,
		"content":          []any{map[string]string{"type": "text/plain", "value": text}},
	})
	if err != nil {
		return fmt.Errorf("encode letter: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return fault.Wrap(fault.Upstream, err, "SendGrid does not answer; try again later")
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		reason, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		return fault.Wrap(fault.Upstream, fmt.Errorf("status %d: %s", resp.StatusCode, reason), "SendGrid did not take the letter; try again later")
	}
	return nil
}

type printer struct{ log *slog.Logger }

func (p printer) Send(ctx context.Context, to, subject, text string) error {
	p.log.WarnContext(ctx, "no mail server is configured (SMTP_URL, SENDGRID_API_KEY), so the letter is printed here", "to", to, "subject", subject, "text", text)
	return nil
}
