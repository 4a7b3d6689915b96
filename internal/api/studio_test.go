package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/account"
	"agentstudio/internal/agent"
	"agentstudio/internal/api"
	"agentstudio/internal/blob"
	"agentstudio/internal/bus/memory"
	"agentstudio/internal/chat"
	"agentstudio/internal/courier"
	"agentstudio/internal/dispatch/local"
	"agentstudio/internal/engine"
	"agentstudio/internal/execution"
	"agentstudio/internal/fault"
	"agentstudio/internal/file"
	"agentstudio/internal/mcp"
	mcpserver "agentstudio/internal/mcp/server"
	"agentstudio/internal/node"
	"agentstudio/internal/node/builtin"
	"agentstudio/internal/store"
	"agentstudio/internal/store/storetest"
	"agentstudio/internal/usage"
	"agentstudio/internal/workflow"
	"agentstudio/internal/workspace"

	"github.com/google/uuid"
)

// studio is a whole studio in this process: a real database, an engine, HTTP
// on loopback.
type studio struct {
	t       testing.TB
	db      *store.DB
	bus     *memory.Bus
	mail    *mailbox
	clock   *clock
	log     *lines
	server  *api.Server
	http    *httptest.Server
	secrets map[string]string
	gates   doors
	ready   func(context.Context) error
	files   *file.Service
	folder  string      // of the contents of files
	started chan string // paths of the files that were announced
}

type options struct {
	config func(*api.Config)
	signup account.Signup
	queue  int
	files  file.Config
	stdio  bool // MCP servers that are programs
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// open brings a studio up; it is gone when the test ends.
func open(t testing.TB, opts options) *studio {
	t.Helper()
	return openOn(t, storetest.SQLite(t), opts)
}

func openOn(t testing.TB, db *store.DB, opts options) *studio {
	t.Helper()
	s := &studio{t: t, db: db, bus: memory.New(opts.queue), mail: &mailbox{letters: map[string][]string{}}, clock: &clock{}, log: &lines{}, secrets: map[string]string{}}
	quiet := slog.New(slog.DiscardHandler)
	budgets := usage.NewService(store.NewUsage(db), s.bus, usage.Config{NewID: newID, Now: s.clock.now})
	s.folder, s.started = t.TempDir(), make(chan string, 100)
	opts.files.NewID, opts.files.Now = newID, s.clock.now
	opts.files.Arrived = func(_ context.Context, f file.File) error { s.started <- f.Path; return nil }
	s.files = file.NewService(store.NewFiles(db), blob.NewDisk(s.folder), opts.files)
	runner, saved := agents(db, budgets, s.files.Paths())
	kinds := node.NewKinds(append(builtin.Kinds(builtin.Deps{Agent: runner}), gateKind(s))...)
	runs := store.NewExecutions(db, nil, time.Now)
	flows := store.NewWorkflows(db, kinds)
	library := workflow.NewLibrary(flows, kinds, 0)
	disp := local.New(runs, local.Config{Log: quiet, Retry: 10 * time.Millisecond})
	runs.Tell(disp)
	eng := engine.New(runs, library, s.bus, disp, runs, engine.Config{Log: quiet, NewID: newID})
	accounts, err := account.NewService(store.NewAccounts(db), s.mail, [][]byte{bytes.Repeat([]byte("k"), 32)}, account.Config{Now: s.clock.now, Signup: opts.signup})
	if err != nil {
		t.Fatal(err)
	}
	cfg := api.Config{Version: "test", Log: slog.New(slog.NewTextHandler(s.log, nil)), Now: s.clock.now, Heartbeat: 50 * time.Millisecond}
	if opts.config != nil {
		opts.config(&cfg)
	}
	links := execution.NewLinks([][]byte{bytes.Repeat([]byte("k"), 32)})
	post := courier.New(runs, s.mail, links, courier.Config{PublicURL: "http://studio.test", Log: quiet, Now: s.clock.now, Asked: runs.Asked(), Glance: time.Second})
	workflows := workflow.NewService(flows, kinds, library, s.bus, workflow.Config{NewID: newID, Now: s.clock.now, Agents: saved})
	executions := execution.NewService(runs, library, disp, s.bus, execution.Config{NewID: newID, Leased: "local"})
	talks := agent.NewService(saved, runner, agent.Config{NewID: newID, Now: s.clock.now})
	s.server = api.New(api.Services{
		Chat:        chat.New(talks, workflows, executions, s.bus, store.NewIdempotency(db), chat.Config{NewID: newID, Now: s.clock.now}),
		Accounts:    accounts,
		Workspaces:  workspace.NewService(store.NewWorkspaces(db), s.mail, workspace.Config{PublicURL: "http://studio.test", Now: s.clock.now}),
		Workflows:   workflows,
		MCP:         mcpserver.New(workflows, executions, s.bus, store.NewIdempotency(db), mcpserver.Config{Version: "test", NewID: newID}),
		Budgets:     budgets,
		MCPServers:  mcp.NewService(store.NewMCPServers(db), s.mcpPool(db, opts), mcp.Config{NewID: newID, Now: s.clock.now}),
		Agents:      talks,
		Executions:  executions,
		Files:       s.files,
		Toolbox:     box(s, budgets),
		FileLinks:   file.NewLinks([][]byte{bytes.Repeat([]byte("k"), 32)}),
		Links:       links,
		Kinds:       kinds,
		Codec:       workflow.NewCodec(),
		Bus:         s.bus,
		Idempotency: store.NewIdempotency(db),
		Ready: func(ctx context.Context) error {
			if s.ready != nil {
				return s.ready(ctx)
			}
			return db.Ping(ctx)
		},
		WebhookSecret: func(_ context.Context, _, name string) ([]byte, error) {
			if secret, ok := s.secrets[name]; ok {
				return []byte(secret), nil
			}
			return nil, fault.New(fault.NotFound, "there is no credential %q", name)
		},
	}, cfg)
	s.run(runs, disp, eng, post)
	return s
}

// run starts what has goroutines and stops it when the test ends.
func (s *studio) run(runs *store.Executions, disp *local.Dispatcher, eng *engine.Engine, post *courier.Courier) {
	ctx, cancel := context.WithCancel(context.Background())
	writing, stopWriter := context.WithCancel(context.Background())
	var writer, rest sync.WaitGroup
	writer.Go(func() {
		if err := runs.Run(writing); err != nil && writing.Err() == nil {
			s.t.Errorf("writer: %v", err)
		}
	})
	rest.Go(func() {
		if err := disp.Run(ctx, ctx, eng); err != nil && ctx.Err() == nil {
			s.t.Errorf("dispatcher: %v", err)
		}
	})
	rest.Go(func() {
		if err := post.Run(ctx); err != nil && ctx.Err() == nil {
			s.t.Errorf("courier: %v", err)
		}
	})
	s.http = httptest.NewServer(s.server)
	s.t.Cleanup(func() {
		if err := s.server.Close(); err != nil {
			s.t.Errorf("close: %v", err)
		}
		s.http.Close()
		cancel()
		rest.Wait()
		stopWriter()
		writer.Wait()
	})
}

// clock is the time plus what the test has let pass.
type clock struct {
	mu     sync.Mutex
	passed time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.passed)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

// lines is a log that can be read back.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// mailbox keeps letters by address; down makes it refuse them.
type mailbox struct {
	mu      sync.Mutex
	letters map[string][]string
	down    bool
}

func (m *mailbox) Send(_ context.Context, to, subject, text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return fault.New(fault.Upstream, "the mail server did not take the letter; try again later")
	}
	m.letters[to] = append(m.letters[to], subject+"\n"+text)
	return nil
}

func (m *mailbox) last(t testing.TB, to string) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.letters[to]) == 0 {
		t.Fatalf("no letter to %s", to)
	}
	return m.letters[to][len(m.letters[to])-1]
}

func (m *mailbox) find(t testing.TB, to, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(m.last(t, to))
	if found == nil {
		t.Fatalf("nothing like %s in the letter to %s", pattern, to)
	}
	return found[1]
}

// answer is what came back.
type answer struct {
	t      testing.TB
	what   string
	Status int
	Header http.Header
	Body   []byte
}

// do sends a request. body is JSON, or sent as it is when it is a string or
// bytes; headers come in pairs.
func (s *studio) do(method, path, token string, body any, headers ...string) *answer {
	s.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case []byte:
		r = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		r = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if strings.HasPrefix(path, "/") && !outside(path) {
		path = "/api/v1" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, s.http.URL+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return &answer{t: s.t, what: method + " " + path, Status: resp.StatusCode, Header: resp.Header, Body: text}
}

func outside(path string) bool {
	for _, p := range []string{"/api/", "/hooks/", "/docs", "/openapi", "/healthz", "/readyz", "/schemas", "/mcp?", "/v1/"} {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return path == "/"
}

func (a *answer) expect(status int) *answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.what, a.Status, status, a.Body)
	}
	return a
}

// into decodes the answer.
func (a *answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.Body)
	}
}

// at returns a value of the answer: "items.0.id".
func (a *answer) at(path string) any {
	a.t.Helper()
	var v any
	a.into(&v)
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i := 0
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(x) {
				a.t.Fatalf("%s: nothing at %s in %s", a.what, path, a.Body)
			}
			v = x[i]
		default:
			a.t.Fatalf("%s: nothing at %s in %s", a.what, path, a.Body)
		}
	}
	return v
}

func (a *answer) text(path string) string {
	a.t.Helper()
	v, ok := a.at(path).(string)
	if !ok {
		a.t.Fatalf("%s: no text at %s in %s", a.what, path, a.Body)
	}
	return v
}

// expectAt compares a value of the answer with what is wanted, as text.
func (a *answer) expectAt(path string, want any) *answer {
	a.t.Helper()
	if got := a.at(path); fmt.Sprint(got) != fmt.Sprint(want) {
		a.t.Fatalf("%s: %s is %v, want %v", a.what, path, got, want)
	}
	return a
}

// problem is what every failure looks like.
func (a *answer) problem(status int, kind string) *answer {
	a.t.Helper()
	a.expect(status)
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		a.t.Fatalf("%s: content type %q", a.what, ct)
	}
	return a.expectAt("type", "/docs/problems#"+kind).expectAt("status", float64(status))
}

// locations lists where the faults of a problem are.
func (a *answer) locations() []string {
	a.t.Helper()
	var p struct{ Errors []struct{ Location string } }
	a.into(&p)
	var out []string
	for _, e := range p.Errors {
		out = append(out, e.Location)
	}
	return out
}

// gateKind waits until the test opens the gate named in its config.
func gateKind(s *studio) node.Type {
	type config struct {
		Name string `json:"name"`
	}
	return node.Define(node.Spec{Kind: "gate", Title: "Gate", Group: node.Action}, func(ctx context.Context, c node.Call, cfg config) (node.Result, error) {
		select {
		case <-s.gates.of(cfg.Name):
			c.Log("info", "gate "+cfg.Name+" passed", nil)
			return node.Output("", map[string]any{"gate": cfg.Name}), nil
		case <-ctx.Done():
			return node.Result{}, ctx.Err()
		}
	})
}
