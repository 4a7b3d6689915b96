package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"agentstudio/internal/fault"
	"agentstudio/internal/mcp"
)

// world is servers that a test opens, breaks and counts.
type world struct {
	mu     sync.Mutex
	refuse error
	tools  []string
	opened int
	live   []*wire
	hears  func()
	notes  chan mcp.State
	epochs map[string]int64
}

type wire struct {
	world *world
	done  chan struct{}
	once  sync.Once
	err   error
	dead  bool
}

func (w *world) Dial(_ context.Context, _ mcp.Target, changed func()) (mcp.Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened++
	if w.refuse != nil {
		return nil, w.refuse
	}
	c := &wire{world: w, done: make(chan struct{})}
	w.live, w.hears = append(w.live, c), changed
	return c, nil
}

func (w *world) Note(_ context.Context, _ string, _ int64, s mcp.State) error {
	w.notes <- s
	return nil
}

func (w *world) Seen(_ context.Context, ids []string, _ time.Time) (map[string]int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int64{}
	for _, id := range ids {
		if epoch, there := w.epochs[id]; there {
			out[id] = epoch
		}
	}
	return out, nil
}

// change sets what the world does from now on.
func (w *world) change(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

// last is the connection opened last.
func (w *world) last() *wire {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.live[len(w.live)-1]
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.opened
}

// until waits for a status to be noted.
func (w *world) until(t *testing.T, status mcp.Status) mcp.State {
	t.Helper()
	for late := time.After(10 * time.Second); ; {
		select {
		case s := <-w.notes:
			if s.Status == status {
				return s
			}
		case <-late:
			t.Fatalf("never %s", status)
		}
	}
}

func (c *wire) end(err error) { c.once.Do(func() { c.err = err; close(c.done) }) }

func (*wire) Info() mcp.Info { return mcp.Info{Capabilities: json.RawMessage(`{}`)} }
func (c *wire) Tools(context.Context) ([]mcp.Tool, error) {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	var out []mcp.Tool
	for _, name := range c.world.tools {
		out = append(out, mcp.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`)})
	}
	return out, nil
}
func (*wire) Resources(context.Context) ([]mcp.Resource, error) { return nil, nil }
func (*wire) Prompts(context.Context) ([]mcp.Prompt, error)     { return nil, nil }
func (c *wire) Call(ctx context.Context, u mcp.Use, _ func(mcp.Progress)) (*mcp.Result, error) {
	if u.Tool == "hang" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &mcp.Result{Content: []mcp.Content{{Type: "text", Text: u.Tool}}}, nil
}
func (c *wire) Ping(context.Context) error {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	if c.dead {
		return errors.New("silence")
	}
	return nil
}
func (c *wire) Done() <-chan struct{} { return c.done }
func (c *wire) Err() error            { return c.err }
func (c *wire) Close() error          { c.end(nil); return nil }

// pool runs a pool in a world until the test ends.
func pool(t *testing.T, cfg mcp.PoolConfig) (*mcp.Pool, *world, func()) {
	t.Helper()
	w := &world{tools: []string{"a", "hang"}, notes: make(chan mcp.State, 1000), epochs: map[string]int64{"s": 1}}
	if cfg.Backoff == nil {
		cfg.Backoff = func(int) time.Duration { return time.Millisecond }
	}
	p := mcp.NewPool(w, w, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	stop := func() { cancel(); <-ended }
	t.Cleanup(stop)
	return p, w, stop
}

func server(epoch int64) *mcp.Server {
	return &mcp.Server{ID: "s", WorkspaceID: "w", Epoch: epoch, Definition: mcp.Definition{Name: "s", Transport: mcp.HTTP, Timeout: time.Minute, AutoReconnect: true}}
}

func TestOneConnectionIsSharedByAll(t *testing.T) {
	p, w, stop := pool(t, mcp.PoolConfig{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if out, err := p.Call(t.Context(), server(1), mcp.Use{Tool: "a"}); err != nil || out.Text() != "a" {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
	all.Wait()
	if n := w.count(); n != 1 {
		t.Errorf("%d connections", n)
	}
	held := w.last()
	stop()
	<-held.Done()
	w.until(t, mcp.Disconnected)
	if _, err := p.Tools(t.Context(), server(1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
}

func TestAConnectionThatBreaksIsOpenedAgain(t *testing.T) {
	p, w, _ := pool(t, mcp.PoolConfig{})
	if _, err := p.Tools(t.Context(), server(1)); err != nil {
		t.Fatal(err)
	}
	w.until(t, mcp.Connected)
	w.last().end(errors.New("the cable was cut"))
	if s := w.until(t, mcp.Failed); !strings.Contains(s.LastError, "the cable was cut") {
		t.Errorf("the error is %s", s.LastError)
	}
	w.until(t, mcp.Connected)
	if out, err := p.Call(t.Context(), server(1), mcp.Use{Tool: "a"}); err != nil || out.IsError {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAServerThatIsNeverThereIsNotTriedForEver(t *testing.T) {
	p, w, _ := pool(t, mcp.PoolConfig{})
	w.change(func() { w.refuse = errors.New("nobody home") })
	if _, err := p.Tools(t.Context(), server(1)); !fault.Is(err, fault.Upstream) || !strings.Contains(err.Error(), "nobody home") {
		t.Fatal(err)
	}
	w.until(t, mcp.Failed)
	if n := w.count(); n != 1 {
		t.Errorf("%d attempts", n)
	}
	w.change(func() { w.refuse = nil })
	if _, err := p.Tools(t.Context(), server(1)); err != nil {
		t.Errorf("the next use: %v", err)
	}
}

func TestWithoutReconnectionTheNextUseConnects(t *testing.T) {
	p, w, _ := pool(t, mcp.PoolConfig{})
	s := server(1)
	s.AutoReconnect = false
	if _, err := p.Tools(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	w.last().end(errors.New("cut"))
	w.until(t, mcp.Failed)
	w.change(func() { w.tools = []string{"other"} })
	for late := time.Now().Add(10 * time.Second); ; { // until the failure has gone round
		tools, err := p.Tools(t.Context(), s)
		if err == nil && tools[0].Name == "other" {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("still %v, %v", tools, err)
		}
	}
	if n := w.count(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestASilentServerIsFoundOut(t *testing.T) {
	p, w, _ := pool(t, mcp.PoolConfig{Beat: time.Millisecond})
	if _, err := p.Tools(t.Context(), server(1)); err != nil {
		t.Fatal(err)
	}
	first := w.last()
	w.change(func() { first.dead = true })
	<-first.Done()
	if s := w.until(t, mcp.Failed); !strings.Contains(s.LastError, "silence") {
		t.Errorf("the error is %s", s.LastError)
	}
	w.until(t, mcp.Connected)
}

func TestToolsThatChangeAreReadAgain(t *testing.T) {
	p, w, _ := pool(t, mcp.PoolConfig{})
	if _, err := p.Call(t.Context(), server(1), mcp.Use{Tool: "new"}); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	w.until(t, mcp.Connected)
	w.change(func() { w.tools = []string{"new"}; w.hears() })
	if s := w.until(t, mcp.Connected); len(s.Tools) != 1 {
		t.Errorf("tools are %+v", s.Tools)
	}
	if out, err := p.Call(t.Context(), server(1), mcp.Use{Tool: "new"}); err != nil || out.Text() != "new" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestConnectionsOfAnotherEpochAreClosed(t *testing.T) {
	p, w, _ := pool(t, mcp.PoolConfig{Beat: time.Millisecond})
	if _, err := p.Tools(t.Context(), server(1)); err != nil {
		t.Fatal(err)
	}
	first := w.last()
	if _, err := p.Tools(t.Context(), server(2)); err != nil { // somebody changed it: whoever knows gets the new one
		t.Fatal(err)
	}
	<-first.Done()
	second := w.last()
	w.change(func() { w.epochs["s"] = 3 }) // another process has disconnected it
	<-second.Done()
	if n := w.count(); n != 2 {
		t.Errorf("%d connections", n)
	}
	if _, err := p.Tools(t.Context(), server(3)); err != nil {
		t.Fatal(err)
	}
	third := w.last()
	w.change(func() { delete(w.epochs, "s") }) // it was deleted
	<-third.Done()
}

func TestACallThatTakesTooLongIsCutOff(t *testing.T) {
	p, _, _ := pool(t, mcp.PoolConfig{})
	s := server(1)
	s.Timeout = time.Millisecond
	if _, err := p.Call(t.Context(), s, mcp.Use{Tool: "hang"}); !fault.Is(err, fault.Timeout) {
		t.Errorf("it ended with %v", err)
	}
}

func TestProgramsStartOnlyWhereTheOperatorAllowsThem(t *testing.T) {
	p, w, _ := pool(t, mcp.PoolConfig{})
	s := server(1)
	s.Transport = mcp.Stdio
	if _, err := p.Tools(t.Context(), s); !fault.Is(err, fault.NotConfigured) || w.count() != 0 {
		t.Errorf("%v after %d connections", err, w.count())
	}
}
