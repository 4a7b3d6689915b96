package mail_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"agentstudio/internal/fault"
	"agentstudio/internal/mail"
)

type inbox struct{ letters chan string }

func (b inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b inbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (b inbox) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "refuse") {
		return &smtp.SMTPError{Code: 550, Message: "no such mailbox"}
	}
	return nil
}
func (b inbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	b.letters <- string(text)
	return err
}
func (inbox) Reset()        {}
func (inbox) Logout() error { return nil }

func TestSMTPServerReceivesTheLetter(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := inbox{letters: make(chan string, 1)}
	server := smtp.NewServer(box)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	s, err := mail.New(mail.Config{SMTPURL: "smtp://" + l.Addr().String(), From: "Studio <studio@x.test>"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(context.Background(), "ann@x.test", "Your code: 123456", "Your code is 123456."); err != nil {
		t.Fatal(err)
	}
	letter := <-box.letters
	for _, want := range []string{"To: <ann@x.test>", "studio@x.test", "Subject: Your code: 123456", "Your code is 123456."} {
		if !strings.Contains(letter, want) {
			t.Errorf("letter lacks %q:\n%s", want, letter)
		}
	}
	if err := s.Send(context.Background(), "refuse@x.test", "s", "t"); !fault.Is(err, fault.Upstream) {
		t.Errorf("refused recipient: %v, want upstream", err)
	}
}

func TestMailServerThatIsDownIsUpstream(t *testing.T) {
	s, err := mail.New(mail.Config{SMTPURL: "smtp://u:hunter2@127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(context.Background(), "a@x.test", "s", "t"); !fault.Is(err, fault.Upstream) || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("error = %v", err)
	}
}

func TestSendGridGetsTheLetterAndItsRefusalIsUpstream(t *testing.T) {
	var got map[string]any
	status := http.StatusAccepted
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer k" || r.URL.Path != "/v3/mail/send" {
			t.Errorf("%s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		_ = json.NewDecoder(r.Body).Decode(&got)
		w.WriteHeader(status)
	}))
	defer srv.Close()
	s, err := mail.New(mail.Config{SendGridKey: "k", SendGridURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(context.Background(), "a@x.test", "hello", "text"); err != nil || got["subject"] != "hello" {
		t.Fatalf("err = %v, got = %v", err, got)
	}
	status = http.StatusUnauthorized
	if err := s.Send(context.Background(), "a@x.test", "s", "t"); !fault.Is(err, fault.Upstream) {
		t.Fatalf("error = %v", err)
	}
	srv.Close()
	if err := s.Send(context.Background(), "a@x.test", "s", "t"); !fault.Is(err, fault.Upstream) {
		t.Fatalf("error = %v", err)
	}
}

func TestWithoutAServerTheLetterIsPrintedAndSaysSo(t *testing.T) {
	var out bytes.Buffer
	s, err := mail.New(mail.Config{Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(context.Background(), "a@x.test", "s", "Your code is 123456."); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "123456") || !strings.Contains(out.String(), "no mail server is configured") {
		t.Fatal(out.String())
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for _, cfg := range []mail.Config{{SMTPURL: "http://x"}, {SMTPURL: "smtp://"}, {From: "not an address"}} {
		if _, err := mail.New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
