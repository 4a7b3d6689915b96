package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"agentstudio/internal/store/storetest"
)

func TestAWorkerShowsItsMetrics(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	startWorker(t, []string{"DATABASE_URL=" + storetest.PostgresURL(t), "STUDIO_METRICS_ADDR=" + address})
	for path, want := range map[string]string{"/healthz": "ok", "/metrics": "\nworkers 1\n"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d, %v: %s", path, answer.StatusCode, err, text)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
