package app_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/event"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/workflow"
)

func settings(dir string) config.Config {
	return config.Config{DataDir: dir, Addr: "127.0.0.1:0", PublicURL: "http://studio.test", MaxActive: 64, MaxBodyMiB: 10, ShutdownGrace: 5, Signup: "open",
		EmailFrom: "Studio <studio@x.test>"}
}

// open opens a studio on a directory and runs it until the test or stop ends.
func open(t *testing.T, cfg config.Config) (studio *app.App, by access.Actor, stop func()) {
	t.Helper()
	studio, err := app.Open(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- studio.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := studio.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	if by, err = studio.Operator(t.Context(), "you@studio.local"); err != nil {
		t.Fatal(err)
	}
	return studio, by, stop
}

func example(t *testing.T, studio *app.App, name string) *workflow.Definition {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../examples", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := studio.Codec.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryExampleRunsWithoutKeysAndInternet(t *testing.T) {
	studio, by, _ := open(t, settings(t.TempDir()))
	inputs := map[string]struct{ input, want string }{
		"research-digest":    {`{"topic":"tides"}`, `demo://library/tides`},
		"support-triage":     {`{"method":"POST","body":{"text":"the app shows an error"}}`, `engineering`},
		"invoice-extraction": {`{"id":"a1"}`, `53.88`},
		"nightly-report":     {`{}`, `team@example.org`},
		"code-review":        {`{"diff":"+ panic(1)"}`, `changes requested`},
	}
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) != len(inputs) {
		t.Fatalf("%d examples, %d of them tried (%v)", len(files), len(inputs), err)
	}
	for name, c := range inputs {
		t.Run(name, func(t *testing.T) {
			seen := map[string]int{}
			var last int64
			x, err := studio.RunOnce(t.Context(), by, example(t, studio, name), json.RawMessage(c.input), false, func(e event.Event) {
				seen[e.Type]++
				if e.Seq != 0 && e.Seq != last+1 {
					t.Errorf("event %d came after %d", e.Seq, last)
				}
				last = max(last, e.Seq)
			})
			if err != nil {
				t.Fatal(err)
			}
			if x.Status != execution.Completed || !strings.Contains(string(x.Output), c.want) {
				t.Errorf("%s %+v: %s", x.Status, x.Error, x.Output)
			}
			if seen[event.ExecutionUpdate] < 2 || seen[event.NodeUpdate] < 3 {
				t.Errorf("saw %v", seen)
			}
		})
	}
}

func TestInvoiceThatDoesNotAddUpFails(t *testing.T) {
	studio, by, _ := open(t, settings(t.TempDir()))
	d := example(t, studio, "invoice-extraction")
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	d, err = studio.Codec.Decode([]byte(strings.ReplaceAll(string(text), `"total":53.88`, `"total":60`)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := studio.RunOnce(t.Context(), by, d, json.RawMessage(`{"id":"a1"}`), false, func(event.Event) {})
	if err != nil || x.Status != execution.Failed || !strings.Contains(x.Error.Message, "do not add up to the total") {
		t.Errorf("got %+v, %v", x, err)
	}
}

func TestSeedingTwiceChangesNothing(t *testing.T) {
	studio, by, _ := open(t, settings(t.TempDir()))
	first, err := studio.Seed(t.Context(), by, "../../examples")
	if err != nil || len(first) != 5 || first[0].Existed {
		t.Fatalf("got %+v, %v", first, err)
	}
	again, err := studio.Seed(t.Context(), by, "../../examples")
	if err != nil || len(again) != 5 || !again[0].Existed || again[0].ID != first[0].ID {
		t.Fatalf("got %+v, %v", again, err)
	}
	for _, s := range first { // all of them can be published as they are
		if _, err := studio.Workflows.SetStatus(t.Context(), by, s.ID, "", workflow.Published); err != nil {
			t.Errorf("publish %s: %+v", s.Name, fault.As(err))
		}
	}
	if _, err := studio.Seed(t.Context(), by, t.TempDir()); err == nil {
		t.Error("an empty directory was seeded")
	}
}

func TestCancelledRunIsCancelled(t *testing.T) {
	studio, by, _ := open(t, settings(t.TempDir()))
	d, err := studio.Codec.Decode([]byte("name: w\nnodes:\n- {id: a, kind: manual-trigger}\n- {id: b, kind: wait, config: {seconds: 600}}\nconnections:\n- {source: a, target: b}\n"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	x, err := studio.RunOnce(ctx, by, d, json.RawMessage(`{}`), false, func(e event.Event) {
		if strings.Contains(string(e.Data), `"waiting"`) {
			cancel()
		}
	})
	cancel()
	if err != nil || x.Status != execution.Cancelled {
		t.Errorf("got %+v, %v", x, err)
	}
}

func TestDataDirectoryIsPrivateAndUsedByOneProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
	_, _, stop := open(t, settings(dir))
	for name, mode := range map[string]os.FileMode{"": 0o700, "session.key": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := app.Open(t.Context(), settings(dir), app.Options{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "another") {
		t.Errorf("a second process got in: %v", err)
	}
	stop()
	key, err := os.ReadFile(filepath.Join(dir, "session.key"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, stop = open(t, settings(dir))
	stop()
	again, err := os.ReadFile(filepath.Join(dir, "session.key"))
	if err != nil || string(again) != string(key) {
		t.Errorf("the key changed with a restart: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "session.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Open(t.Context(), settings(dir), app.Options{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "too short") {
		t.Errorf("a short key was taken: %v", err)
	}
}

func TestServeAnswersUntilItIsStopped(t *testing.T) {
	studio, err := app.Open(t.Context(), settings(t.TempDir()), app.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- studio.Serve(ctx, l, func() { close(started) }) }()
	<-started
	get := func(path string) string {
		answer, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %v", path, answer.StatusCode, err)
		}
		return string(body)
	}
	if !strings.Contains(get("/readyz"), "ready") || !strings.Contains(get("/"), "Agent Studio") || !strings.Contains(get("/openapi.json"), "/api/v1/executions") {
		t.Error("the studio does not introduce itself")
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it did not stop")
	}
	if err := studio.Close(); err != nil {
		t.Error(err)
	}
}

func TestExecutionGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	studio, by, stop := open(t, settings(dir))
	d, err := studio.Codec.Decode([]byte("name: w\nnodes:\n- {id: a, kind: manual-trigger}\n- {id: b, kind: wait, config: {seconds: 2}}\n- {id: c, kind: set, config: {values: {ok: true}}}\nconnections:\n- {source: a, target: b}\n- {source: b, target: c}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := studio.Workflows.Create(t.Context(), by, by.Personal, d)
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := studio.Executions.Start(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: w.ID})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	studio, by, _ = open(t, settings(dir))
	sub := studio.Bus.Subscribe(event.ExecutionRoom(x.ID))
	defer sub.Close()
	x, err = studio.Executions.Wait(t.Context(), by.Personal, sub, x.ID, false, 30*time.Second)
	if err != nil || x.Status != execution.Completed || string(x.Output) != `{"ok":true}` {
		t.Errorf("got %+v, %v", x, err)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"sender":   func(c *config.Config) { c.EmailFrom = "nobody" },
		"network":  func(c *config.Config) { c.AllowPrivate = []string{"everything"} },
		"database": func(c *config.Config) { c.DatabaseURL = "mysql://x" },
		"redis":    func(c *config.Config) { c.RedisURL = "http://:secret@x" },
		"prices":   func(c *config.Config) { c.ModelPrices = "/none.json" },
		"outbound": func(c *config.Config) { c.OutboundLimits = []string{"https://x.test=often"} },
		"key":      func(c *config.Config) { c.SecretKeys = []config.Secret{"short"} },
	} {
		cfg := settings(t.TempDir())
		change(&cfg)
		if _, err := app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%s: it opened", name)
		}
	}
}

func TestCheckerNeedsNoDatabase(t *testing.T) {
	codec, check := app.Checker()
	d, err := codec.Decode([]byte("name: w\nnodes:\n- {id: a, kind: manul-trigger}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if report := check(d); report.IsValid || !strings.Contains(report.Errors[0].Message, "did you mean manual-trigger") {
		t.Errorf("got %+v", report)
	}
	if text, err := app.OpenAPI("1"); err != nil || !json.Valid(text) {
		t.Errorf("no OpenAPI document: %v", err)
	}
}
