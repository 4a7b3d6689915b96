package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"agentstudio/bench/model"
	"agentstudio/internal/app"
	"agentstudio/internal/config"
)

// open serves the data directory with what is in the tree.
func open(t *testing.T, dir, models string) (address string) {
	t.Helper()
	cfg := config.Config{DataDir: dir, Addr: "127.0.0.1:0", MaxActive: 64, MaxBodyMiB: 10, ShutdownGrace: 5, Signup: "open", EmailFrom: "Studio <studio@x.test>",
		OpenAIBaseURL: models + "/openai/v1", OpenAIAPIKey: "none", AllowPrivate: []string{"127.0.0.0/8"}}
	studio, err := app.Open(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- studio.Serve(ctx, l, func() { close(started) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := studio.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	return "http://" + l.Addr().String()
}

func speaking(t *testing.T, address, token string) caller {
	return func(method, path string, body, out any) error {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(t.Context(), method, address+path, bytes.NewReader(text))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err = io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode/100 != 2 {
			return fmt.Errorf("%s %s answered %d: %s", method, path, answer.StatusCode, text)
		}
		if err != nil || out == nil {
			return err
		}
		return json.Unmarshal(text, out)
	}
}

func TestExecutionsOfEarlierVersionsEndAsTheyWouldHave(t *testing.T) {
	all, err := filepath.Glob("../../internal/engine/testdata/histories/*/history.json")
	if err != nil || len(all) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	for _, path := range all {
		from := filepath.Dir(path)
		t.Run(filepath.Base(from), func(t *testing.T) {
			h, err := read(path)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := unpack(from, dir); err != nil {
				t.Fatal(err)
			}
			stub := model.New(0, tools)
			models, stop, err := listen(t.Context(), stub.Handler())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
			if err := h.check(t.Context(), speaking(t, open(t, dir, models), h.Token), stub); err != nil {
				t.Error(err)
			}
		})
	}
}

// The check itself must notice what it is there for.
func TestWhatWasLostOrDoneAgainIsNamed(t *testing.T) {
	x := &started{Done: map[string]ended{"n": {Node: "first", StartedAt: "1", CompletedAt: "2"}}}
	sc := scenario{output: `{"n":1}`}
	for name, c := range map[string]struct {
		now  execution
		node nodeRun
		want string
	}{
		"all is well":    {execution{Status: "completed", Output: []byte(`{"n":1}`)}, nodeRun{ID: "n", StartedAt: "1", CompletedAt: "2"}, ""},
		"another output": {execution{Status: "completed", Output: []byte(`{"n":2}`)}, nodeRun{ID: "n", StartedAt: "1", CompletedAt: "2"}, "want"},
		"it failed":      {execution{Status: "failed", Output: []byte(`{"n":1}`)}, nodeRun{ID: "n", StartedAt: "1", CompletedAt: "2"}, "failed"},
		"a second run":   {execution{Status: "completed", Output: []byte(`{"n":1}`)}, nodeRun{ID: "n", StartedAt: "3", CompletedAt: "4"}, "ran again"},
		"a run is gone":  {execution{Status: "completed", Output: []byte(`{"n":1}`)}, nodeRun{ID: "other"}, "ran again"},
	} {
		t.Run(name, func(t *testing.T) {
			err := x.compare(c.now, []nodeRun{c.node}, sc)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
