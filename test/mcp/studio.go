package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"time"
)

// studio is the binary at work on a directory that is thrown away.
type studio struct {
	ctx   context.Context
	cmd   *exec.Cmd
	dir   string
	url   string
	token string
	codes chan string
}

func freePort() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// start serves, and signs somebody in, who is the administrator.
func start(ctx context.Context, binary string) (*studio, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "studio-mcp-")
	if err != nil {
		return nil, err
	}
	s := &studio{ctx: ctx, dir: dir, url: "http://" + address, codes: make(chan string, 1)}
	s.cmd = exec.CommandContext(ctx, binary, "serve", "--addr", address, "--data-dir", dir)
	s.cmd.Env = append(os.Environ(), "STUDIO_ALLOW_STDIO_MCP=true", "STUDIO_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8,::1", "STUDIO_LIMIT_API=off", "STUDIO_LIMIT_ANONYMOUS=off")
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go s.listen(log)
	if err := s.until(func() error { return s.do(http.MethodGet, "/readyz", nil, nil) }); err != nil {
		return s, err
	}
	if err := s.api(http.MethodPost, "/auth/request-otp", map[string]any{"email": "you@example.com"}, nil); err != nil {
		return s, err
	}
	var tokens struct {
		Access string `json:"access_token"`
	}
	select {
	case code := <-s.codes:
		err = s.api(http.MethodPost, "/auth/verify-otp", map[string]any{"email": "you@example.com", "code": code}, &tokens)
	case <-time.After(10 * time.Second):
		err = errors.New("no code was printed")
	}
	s.token = tokens.Access
	return s, err
}

// listen looks for the code in the log.
func (s *studio) listen(log io.Reader) {
	code := regexp.MustCompile(`\b\d{6}\b`)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		text := regexp.MustCompile(`time=\S+`).ReplaceAllString(lines.Text(), "")
		if found := code.FindString(text); found != "" {
			select {
			case s.codes <- found:
			default:
			}
		}
	}
}

// kill ends the studio as hard as it can be.
func (s *studio) kill() {
	_ = s.cmd.Process.Kill() // it may be gone
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

func (*studio) until(ready func() error) error {
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if err = ready(); err == nil {
			return nil
		}
	}
	return err
}

func (s *studio) api(method, path string, body, out any) error {
	return s.do(method, "/api/v1"+path, body, out)
}

func (s *studio) do(method, path string, body, out any) error {
	var text io.Reader
	if body != nil {
		written, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(written)
	}
	r, err := http.NewRequestWithContext(s.ctx, method, s.url+path, text)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %d: %s", method, path, answer.StatusCode, got)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(got, out)
}

// flow saves a workflow; nodes follow each other.
func (s *studio) flow(name string, nodes ...map[string]any) (string, error) {
	var links []any
	for i := range nodes {
		nodes[i]["id"] = fmt.Sprintf("n%d", i)
		if i > 0 {
			links = append(links, map[string]any{"source": fmt.Sprintf("n%d", i-1), "target": fmt.Sprintf("n%d", i)})
		}
	}
	if links == nil {
		links = []any{}
	}
	var made struct {
		ID string `json:"id"`
	}
	err := s.api(http.MethodPost, "/workflows", map[string]any{"name": name, "nodes": nodes, "connections": links}, &made)
	return made.ID, err
}

// publish saves and publishes a workflow.
func (s *studio) publish(name string, nodes ...map[string]any) error {
	id, err := s.flow(name, nodes...)
	if err != nil {
		return err
	}
	return s.api(http.MethodPatch, "/workflows/"+id+"/status", map[string]any{"status": "published"}, nil)
}

// ends runs a workflow and returns its output.
func (s *studio) ends(name string, nodes ...map[string]any) (string, error) {
	id, err := s.flow(name, nodes...)
	if err != nil {
		return "", err
	}
	var x struct {
		Status string          `json:"status"`
		Output json.RawMessage `json:"output"`
		Error  json.RawMessage `json:"error"`
	}
	if err := s.api(http.MethodPost, "/executions", map[string]any{"workflow_id": id, "wait": 60}, &x); err != nil {
		return "", err
	}
	if x.Status != "completed" {
		return "", fmt.Errorf("it is %s: %s", x.Status, x.Error)
	}
	return string(x.Output), nil
}

// open is an address at which the studio's MCP server needs no token: the suite
// sends none.
func (s *studio) open() (address string, stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	to, err := url.Parse(s.url)
	if err != nil {
		return "", nil, err
	}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Header.Set("Authorization", "Bearer "+s.token)
	}}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // until it is closed
	}()
	return "http://" + l.Addr().String() + "/mcp", func() { _ = server.Close(); <-ended }, nil
}
