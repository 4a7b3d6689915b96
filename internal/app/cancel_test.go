package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/access"
	"agentstudio/internal/app"
	"agentstudio/internal/config"
	"agentstudio/internal/execution"
	"agentstudio/internal/store/storetest"
)

// outside is a world that keeps everybody waiting and notes who is there.
type outside struct {
	mu      sync.Mutex
	calls   map[string]int            // requests, by path
	arrived map[string]chan struct{}  // closed with the first
	left    map[string]chan time.Time // says when that one's connection was cut
}

func (o *outside) at(path string) (arrived chan struct{}, left chan time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.arrived[path] == nil {
		o.arrived[path], o.left[path] = make(chan struct{}), make(chan time.Time, 1)
	}
	return o.arrived[path], o.left[path]
}

func (o *outside) come(path string) (first bool) {
	arrived, _ := o.at(path)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls[path]++
	if o.calls[path] == 1 {
		close(arrived)
	}
	return o.calls[path] == 1
}

func (o *outside) count(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[path]
}

// ServeHTTP sends a piece of an answer now and then, for ever.
func (o *outside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, left := o.at(r.URL.Path)
	if o.come(r.URL.Path) {
		defer func() { left <- time.Now() }()
	}
	_, _ = io.Copy(io.Discard, r.Body)
	piece := "<p>more</p>"
	if strings.HasSuffix(r.URL.Path, "/chat/completions") {
		w.Header().Set("Content-Type", "text/event-stream")
		piece = `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"word "},"finish_reason":null}]}` + "\n\n"
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(w, piece); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush() // tells of a broken connection with the next write
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// letters is a mail server that greets and never answers again.
func (o *outside) letters(t *testing.T) (address string) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = c.Close() }()
				_, left := o.at("/mail")
				first := o.come("/mail")
				_, _ = io.WriteString(c, "220 slow.test ESMTP\r\n")
				_, _ = io.Copy(io.Discard, bufio.NewReader(c)) // until it is cut
				if first {
					left <- time.Now()
				}
			})
		}
	})
	return l.Addr().String()
}

// apart are two processes' worth of studio on one database: one that answers,
// and one that runs executions.
func apart(t *testing.T, change func(*config.Config)) (front *app.App, by access.Actor) {
	t.Helper()
	url := storetest.PostgresURL(t)
	cfg := settings(t.TempDir())
	cfg.DatabaseURL = config.Secret(url)
	change(&cfg)
	back, err := app.Open(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler), Worker: true, Queues: []string{"default"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- back.Work(ctx, func() { close(started) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := back.Close(); err != nil {
			t.Error(err)
		}
	})
	<-started
	cfg.Engine = "off"
	front, by, _ = open(t, cfg)
	return front, by
}

func TestCancelCutsWhatTalksToTheOutsideInAnotherProcess(t *testing.T) {
	o := &outside{calls: map[string]int{}, arrived: map[string]chan struct{}{}, left: map[string]chan time.Time{}}
	world := httptest.NewServer(o)
	t.Cleanup(world.Close)
	studio, by := apart(t, func(cfg *config.Config) {
		cfg.AllowPrivate = []string{"127.0.0.0/8"}
		cfg.OpenAIBaseURL, cfg.OpenAIAPIKey = world.URL+"/model/v1", "k"
		cfg.JinaSearchURL, cfg.JinaAPIKey, cfg.JinaReaderURL = world.URL+"/search", "k", world.URL+"/read"
		cfg.SMTPURL = config.Secret("smtp://" + o.letters(t))
	})
	child := flow(t, studio, by, "name: child\nnodes:\n- {id: in, kind: workflow-trigger}\n- {id: go, kind: http-request, config: {url: '"+world.URL+"/child'}}\nconnections:\n- {source: in, target: go}\n", true)
	for path, node := range map[string]string{
		"/request":                   "kind: http-request, config: {url: '" + world.URL + "/request'}, retry: {max_attempts: 5, delays: [0]}",
		"/model/v1/chat/completions": "kind: agent, config: {model: openai/m, prompt: hello}",
		"/tool":                      "kind: agent, config: {model: demo/scripted, prompt: hello, tools: [http_request], permissions: {mode: auto, allow: [http_request]}, script: [{tool_calls: [{name: http_request, arguments: {url: '" + world.URL + "/tool'}}]}]}",
		"/search/":                   "kind: web-search, config: {query: bees}",
		"/read/http://example.org/":  "kind: web-read, config: {url: 'http://example.org/'}",
		"/mail":                      "kind: send-email, config: {to: [you@x.test], subject: s, text: t}",
		"/child":                     "kind: run-workflow, config: {workflow_id: " + child + "}",
	} {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) {
			id := flow(t, studio, by, "name: one\nnodes:\n- {id: in, kind: manual-trigger}\n- {id: out, "+node+"}\nconnections:\n- {source: in, target: out}\n", false)
			x, _, err := studio.Executions.Start(t.Context(), by, execution.StartInput{WorkspaceID: by.Personal, WorkflowID: id})
			if err != nil {
				t.Fatal(err)
			}
			arrived, left := o.at(path)
			select {
			case <-arrived:
			case <-time.After(20 * time.Second):
				x, _ := studio.Executions.Find(t.Context(), by, x.ID)
				t.Fatalf("nobody came: %s %+v; calls %v", x.Status, x.Error, fmt.Sprint(o.calls))
			}
			asked := time.Now()
			if _, err := studio.Executions.Cancel(t.Context(), by, x.ID); err != nil {
				t.Fatal(err)
			}
			select {
			case at := <-left:
				if took := at.Sub(asked); took > time.Second {
					t.Errorf("its connection was cut after %s", took)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("its connection is never cut")
			}
			calls := o.count(path)
			<-time.After(300 * time.Millisecond) // time for a call too many
			if n := o.count(path); n != calls {
				t.Errorf("%d calls came after it was cancelled", n-calls)
			}
		})
	}
}
