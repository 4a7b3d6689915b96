// Package studio runs the built binary for measurements: it starts, signs in,
// calls, kills and weighs it. Linux only, since it reads /proc.
package studio

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
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Studio is a running server.
type Studio struct {
	URL   string
	Token string
	// Ready is how long it took from the start of the process to the first
	// good answer of /readyz.
	Ready time.Duration

	cmd    *exec.Cmd
	client *http.Client
	ended  chan error

	mu   sync.Mutex
	log  []string
	code chan string

	takes chan struct{} // closed when a worker says that it is ready
}

// Options say how to start it.
type Options struct {
	Binary string
	Dir    string   // data directory
	Env    []string // beside rate limits, which are off
}

// Start starts a server on a free port of the loopback interface and waits
// until it is ready, at most 30 s.
func Start(ctx context.Context, o Options) (*Studio, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &Studio{URL: "http://127.0.0.1:" + port, ended: make(chan error, 1), code: make(chan string, 16),
		client: &http.Client{Timeout: 90 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}}}
	began := time.Now()
	if err := s.run(ctx, o, "serve", "--addr", "127.0.0.1:"+port, "--data-dir", o.Dir); err != nil {
		return nil, err
	}
	return s, s.await(ctx, began)
}

// StartWorker starts a worker process of the database that o.Env names and
// waits until it takes executions, at most 30 s. Only Kill, Stop, Freeze,
// Thaw, PID, Log, CPU and Memory mean something for it.
func StartWorker(ctx context.Context, o Options) (*Studio, error) {
	s := &Studio{ended: make(chan error, 1), code: make(chan string, 16), client: &http.Client{}, takes: make(chan struct{})}
	began, takes := time.Now(), s.takes
	if err := s.run(ctx, o, "worker", "--data-dir", o.Dir); err != nil {
		return nil, err
	}
	select {
	case <-takes:
		s.Ready = time.Since(began)
		return s, nil
	case err := <-s.ended:
		return nil, fmt.Errorf("the worker ended: %w\n%s", err, s.Log())
	case <-time.After(30 * time.Second):
		return nil, fmt.Errorf("the worker was not ready within 30 s\n%s", s.Log())
	}
}

// run starts the program.
func (s *Studio) run(ctx context.Context, o Options, args ...string) error {
	s.cmd = exec.CommandContext(ctx, o.Binary, args...)
	s.cmd.Env = append(os.Environ(), "STUDIO_LIMIT_API=off", "STUDIO_LIMIT_ANONYMOUS=off", "STUDIO_LIMIT_CODE_ADDRESS=off", "STUDIO_LIMIT_CODE_IP=off",
		"STUDIO_LIMIT_VERIFY=off", "STUDIO_LIMIT_WEBHOOK=off", "STUDIO_ALLOW_PRIVATE_NETWORKS=127.0.0.0/8", "LOG_FORMAT=json")
	s.cmd.Env = append(s.cmd.Env, o.Env...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go s.read(stderr)
	return nil
}

// PID returns the number of the process.
func (s *Studio) PID() int { return s.cmd.Process.Pid }

// Freeze stops the process where it stands; Thaw lets it go on.
func (s *Studio) Freeze() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (s *Studio) Thaw() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

// UseKey goes on with an API key, which does not expire, instead of the
// session's token.
func (s *Studio) UseKey(ctx context.Context) error {
	var key struct{ Key string }
	err := s.Call(ctx, http.MethodPost, "/api/v1/auth/api-keys", map[string]any{"name": "bench", "scopes": []string{"read", "execute", "write"}}, &key)
	s.Token = key.Key
	return err
}

func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// read keeps the last lines of the log and picks out sign-in codes.
func (s *Studio) read(stderr io.Reader) {
	code := regexp.MustCompile(`Your Agent Studio code: (\d{6})`)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.mu.Lock()
		if s.log = append(s.log, lines.Text()); len(s.log) > maxLines {
			s.log = s.log[maxLines/2:]
		}
		s.mu.Unlock()
		if s.takes != nil && strings.Contains(lines.Text(), "is ready: queues") {
			close(s.takes)
			s.takes = nil
		}
		if m := code.FindStringSubmatch(lines.Text()); m != nil {
			s.code <- m[1]
		}
	}
	s.ended <- s.cmd.Wait()
}

// maxLines bounds the lines of the log that are kept.
const maxLines = 50_000

// Log returns the last lines of the server's log.
func (s *Studio) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log[max(0, len(s.log)-200):], "\n")
}

// Said returns the lines of the log that hold the text.
func (s *Studio) Said(text string) (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (s *Studio) await(ctx context.Context, began time.Time) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(30 * time.Second)
	for {
		select {
		case err := <-s.ended:
			return fmt.Errorf("the server ended: %w\n%s", err, s.Log())
		case <-limit:
			return fmt.Errorf("the server was not ready within 30 s\n%s", s.Log())
		case <-ticker.C:
		}
		if status, err := s.Do(ctx, http.MethodGet, "/readyz", nil, nil); err == nil && status == http.StatusOK {
			s.Ready = time.Since(began)
			return nil
		}
	}
}

// SignIn signs an address in with the code from the log.
func (s *Studio) SignIn(ctx context.Context, email string) error {
	if err := s.Call(ctx, http.MethodPost, "/api/v1/auth/request-otp", map[string]any{"email": email}, nil); err != nil {
		return err
	}
	var code string
	select {
	case code = <-s.code:
	case <-time.After(5 * time.Second):
		return fmt.Errorf("no code in the log\n%s", s.Log())
	}
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	err := s.Call(ctx, http.MethodPost, "/api/v1/auth/verify-otp", map[string]any{"email": email, "code": code}, &tokens)
	s.Token = tokens.AccessToken
	return err
}

type keyed struct{}

// Once has the calls made with the context carry the idempotency key.
func Once(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyed{}, key)
}

// Do sends a request with a JSON body, reads the JSON answer into out and
// returns the status.
func (s *Studio) Do(ctx context.Context, method, path string, body, out any) (int, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key, ok := ctx.Value(keyed{}).(string); ok {
		req.Header.Set("Idempotency-Key", key)
	}
	if s.Token != "" && strings.HasPrefix(path, "/api/") {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	answer, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	if err == nil && out != nil && answer.StatusCode/100 == 2 {
		err = json.Unmarshal(text, out)
	}
	if answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s answered %d: %s", method, path, answer.StatusCode, text)
	}
	return answer.StatusCode, err
}

// Call is Do for those who only want a success.
func (s *Studio) Call(ctx context.Context, method, path string, body, out any) error {
	_, err := s.Do(ctx, method, path, body, out)
	return err
}

// Create stores a workflow and returns its id.
func (s *Studio) Create(ctx context.Context, definition map[string]any) (string, error) {
	var w struct {
		ID string `json:"id"`
	}
	err := s.Call(ctx, http.MethodPost, "/api/v1/workflows", definition, &w)
	return w.ID, err
}

// Kill ends the process at once, as a crash does.
func (s *Studio) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	if err := <-s.ended; err == nil {
		return errors.New("the server had ended by itself")
	}
	s.client.CloseIdleConnections()
	return nil
}

// Ask sends the process SIGTERM.
func (s *Studio) Ask() error { return s.cmd.Process.Signal(syscall.SIGTERM) }

// Wait waits until the process has ended and returns how; an error when it has
// not after the time.
func (s *Studio) Wait(long time.Duration) error {
	select {
	case err := <-s.ended:
		s.client.CloseIdleConnections()
		return err
	case <-time.After(long):
		return fmt.Errorf("it has not ended after %s", long)
	}
}

// Running reports whether the process has not ended.
func (s *Studio) Running() bool {
	return s.cmd.Process.Signal(syscall.Signal(0)) == nil && len(s.ended) == 0
}

// Stop asks the process to end and waits for it.
func (s *Studio) Stop() error {
	s.client.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-s.ended
}

// CPU returns the processor time the server has used, user and system, in the
// kernel's ticks of 10 ms.
func (s *Studio) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("/proc/…/stat has another form")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// Memory returns the resident memory of the server in bytes.
func (s *Studio) Memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, errors.New("/proc/…/statm has another form")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
