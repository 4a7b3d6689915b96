package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/app"
	"agentstudio/internal/config"
)

// letterBox keeps the last letter.
type letterBox struct {
	mu   sync.Mutex
	text string
}

func (b *letterBox) Send(_ context.Context, _, _, text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = text
	return nil
}

func (b *letterBox) code() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return regexp.MustCompile(`\b\d{6}\b`).FindString(b.text)
}

// serve brings a studio up and returns its address; it is gone when the test ends.
func serve(t *testing.T, box *letterBox, log io.Writer) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Config{DataDir: t.TempDir(), Addr: listener.Addr().String(), MaxBodyMiB: 10, MaxActive: 64, ShutdownGrace: 1, Signup: "open",
		PublicURL: "http://" + listener.Addr().String()}
	studio, err := app.Open(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})), Mailer: box})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- studio.Serve(ctx, listener, func() { close(started) }) }()
	select {
	case <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := studio.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return cfg.PublicURL
}

func post(t *testing.T, address, body string) map[string]any {
	t.Helper()
	resp, err := http.Post(address, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %v", address, resp.StatusCode, out, err)
	}
	return out
}

func TestNoRequestMakesTheStudioFail(t *testing.T) {
	box, log := &letterBox{}, &safeBuffer{}
	base := serve(t, box, log)
	post(t, base+"/api/v1/auth/request-otp", `{"email":"fuzz@example.com"}`)
	token, _ := post(t, base+"/api/v1/auth/verify-otp", `{"email":"fuzz@example.com","code":"`+box.code()+`"}`)["access_token"].(string)
	f, err := New(t.Context(), base, token, 7)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	report, err := f.Run(t.Context(), 5000)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests in %s: %v", report.Sent, time.Since(started).Round(time.Millisecond), report.Statuses)
	if len(report.Findings) > 0 {
		t.Errorf("%s\nlog: %s", report, log)
	}
	for _, status := range []int{200, 201, 202, 204, 404, 422} {
		if report.Statuses[status] == 0 {
			t.Errorf("no request was answered with %d: the requests are not varied enough", status)
		}
	}
}

// safeBuffer is a log that can be read back.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
