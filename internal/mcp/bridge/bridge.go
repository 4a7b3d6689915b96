// Package bridge passes MCP messages between a program's standard input and
// output and a server that speaks streamable HTTP.
package bridge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxMessage bounds a message, in bytes.
const maxMessage = 16 << 20

// Config says where the server is. URL and Key must be set.
type Config struct {
	URL string // of its MCP endpoint
	Key string // sent as bearer
	// HTTP makes the requests; nil: http.DefaultClient.
	HTTP *http.Client
	// Last is how long answers are waited for when the input has ended; 30 s.
	Last time.Duration
}

// Run passes messages on until the input ends, and the answers that are still
// to come have come. Failures to reach the server are answers to what was
// asked; an error is one of reading or writing here.
func Run(ctx context.Context, cfg Config, in io.Reader, out io.Writer) error {
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Last <= 0 {
		cfg.Last = 30 * time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b := &bridge{cfg: cfg, out: out, cancel: cancel}
	listening, hangUp := context.WithCancel(ctx)
	err := b.read(ctx, listening, in)
	hangUp()
	late := time.AfterFunc(cfg.Last, cancel)
	defer late.Stop()
	b.calls.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(err, b.broken)
}

type bridge struct {
	cfg    Config
	cancel context.CancelFunc
	calls  sync.WaitGroup

	mu       sync.Mutex // guards what follows, and writing
	out      io.Writer
	broken   error  // why nothing can be written any more
	session  string // as the server has named it
	protocol string // as was agreed
}

// head is what is looked at of a message.
type head struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
}

func (b *bridge) read(ctx, listening context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxMessage)
	for ctx.Err() == nil && lines.Scan() {
		line := bytes.Clone(bytes.TrimSpace(lines.Bytes()))
		if len(line) == 0 {
			continue
		}
		var h head
		if err := json.Unmarshal(line, &h); err != nil {
			b.fail(json.RawMessage("null"), -32700, "this is no JSON: "+err.Error())
			continue
		}
		switch {
		case h.Method == "initialize", h.Method == "notifications/cancelled", len(h.ID) == 0:
			b.send(ctx, h, line) // what follows builds on it, or overtakes what it is about
			if h.Method == "notifications/initialized" {
				b.calls.Go(func() { b.listen(listening) })
			}
		default:
			b.calls.Go(func() { b.send(ctx, h, line) })
		}
	}
	return lines.Err()
}

func (b *bridge) request(ctx context.Context, method string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, b.cfg.URL, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+b.cfg.Key)
	r.Header.Set("Accept", "application/json, text/event-stream")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.session != "" {
		r.Header.Set("Mcp-Session-Id", b.session)
	}
	if b.protocol != "" {
		r.Header.Set("Mcp-Protocol-Version", b.protocol)
	}
	return r, nil
}

// send passes one message on, and its answers back.
func (b *bridge) send(ctx context.Context, h head, line []byte) {
	r, err := b.request(ctx, http.MethodPost, bytes.NewReader(line))
	if err != nil {
		b.fail(h.ID, -32603, err.Error())
		return
	}
	answer, err := b.cfg.HTTP.Do(r)
	if err != nil {
		b.fail(h.ID, -32603, "the studio cannot be reached: "+err.Error())
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		b.fail(h.ID, -32603, explain(answer))
		return
	}
	if h.Method == "initialize" {
		b.mu.Lock()
		b.session = answer.Header.Get("Mcp-Session-Id")
		b.mu.Unlock()
	}
	if answer.StatusCode == http.StatusAccepted {
		return
	}
	told, err := b.pass(answer, h)
	if !told && len(h.ID) > 0 {
		why := "the studio ended the connection before it had answered"
		if err != nil {
			why += ": " + err.Error()
		}
		b.fail(h.ID, -32603, why)
	}
}

// explain says what is wrong in the words of the studio.
func explain(answer *http.Response) string {
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return answer.Status
	}
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(text, &problem) == nil && problem.Detail != "" {
		return fmt.Sprintf("the studio answered %d: %s", answer.StatusCode, problem.Detail)
	}
	return fmt.Sprintf("the studio answered %d: %s", answer.StatusCode, strings.TrimSpace(string(text)))
}

// pass writes what an answer holds, and reports whether the message itself was
// answered.
func (b *bridge) pass(answer *http.Response, h head) (told bool, err error) {
	tell := func(text []byte) {
		var got struct {
			head
			Result struct {
				Protocol string `json:"protocolVersion"`
			} `json:"result"`
		}
		if json.Unmarshal(text, &got) != nil {
			return
		}
		if got.Method == "" && bytes.Equal(got.ID, h.ID) {
			told = true
			if h.Method == "initialize" {
				b.mu.Lock()
				b.protocol = got.Result.Protocol
				b.mu.Unlock()
			}
		}
		b.write(text)
	}
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		text, err := io.ReadAll(io.LimitReader(answer.Body, maxMessage))
		if len(bytes.TrimSpace(text)) > 0 {
			tell(text)
		}
		return told, err
	}
	return told, events(answer.Body, tell)
}

// events reads the data of server-sent events.
func events(from io.Reader, tell func([]byte)) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxMessage)
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			if len(data) > 0 {
				tell(data)
			}
			data = nil
			continue
		}
		if text, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, bytes.TrimPrefix(text, []byte(" "))...)
		}
	}
	return lines.Err()
}

// listen passes on what the server says by itself, until ctx ends. A server
// that says nothing by itself is left alone.
func (b *bridge) listen(ctx context.Context) {
	for pause := time.Second; ctx.Err() == nil; pause = min(2*pause, time.Minute) {
		r, err := b.request(ctx, http.MethodGet, nil)
		if err != nil {
			return
		}
		r.Header.Set("Accept", "text/event-stream")
		if answer, err := b.cfg.HTTP.Do(r); err == nil {
			if answer.StatusCode == http.StatusMethodNotAllowed {
				answer.Body.Close()
				return
			}
			if answer.StatusCode == http.StatusOK {
				pause = time.Second / 2
				_ = events(answer.Body, b.write) // it is opened again
			}
			answer.Body.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// fail answers a request; what is none has no answer.
func (b *bridge) fail(id json.RawMessage, code int, message string) {
	if len(id) == 0 {
		return
	}
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "error": map[string]any{"code": code, "message": message}})
	if err == nil {
		b.write(text)
	}
}

// write writes one message on one line.
func (b *bridge) write(text []byte) {
	var line bytes.Buffer
	if json.Compact(&line, text) != nil {
		return
	}
	line.WriteByte('\n')
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return
	}
	if _, err := b.out.Write(line.Bytes()); err != nil {
		b.broken = fmt.Errorf("write: %w", err)
		b.cancel() // whoever asked is gone
	}
}
