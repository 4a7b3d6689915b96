//go:build unix

package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"agentstudio/internal/mcp"
)

const (
	politely = 2 * time.Second // for a program to end when its input ends
	firmly   = 5 * time.Second // for everything to be killed
	keepSaid = 4 << 10         // bytes of what a program has written to stderr last
)

// child is a program that runs below a supervisor.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	life   *os.File // the supervisor kills everything when it is closed, by us or by our end
	said   *tail
	done   chan struct{}
	err    error // how it ended; set before done is closed
	once   sync.Once
}

// start starts a program with little more environment than the target names.
func start(supervisor []string, t mcp.Target) (*child, error) {
	watched, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer watched.Close()
	out, written, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, life.Close())
	}
	defer written.Close()
	args := slices.Concat(supervisor[1:], []string{t.Command}, t.Args)
	c := &child{cmd: exec.Command(supervisor[0], args...), stdout: out, life: life, said: &tail{}, done: make(chan struct{})} //nolint:noctx // it lives as long as the connection, not as the call that opens it
	c.cmd.Env = environment(t.Env)
	c.cmd.Dir = os.TempDir()
	c.cmd.Stdout, c.cmd.Stderr = written, c.said
	c.cmd.ExtraFiles = []*os.File{watched} // 3
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.WaitDelay = politely
	if c.stdin, err = c.cmd.StdinPipe(); err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", t.Command, errors.Join(err, life.Close(), out.Close()))
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// environment is what programs get of ours: what they need to find and to
// place things, none of our settings.
func environment(own map[string]mcp.Secret) []string {
	var out []string
	for _, name := range []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SHELL"} {
		if value, set := os.LookupEnv(name); set {
			if _, replaced := own[name]; !replaced {
				out = append(out, name+"="+value)
			}
		}
	}
	for name, value := range own {
		out = append(out, name+"="+value.Reveal())
	}
	slices.Sort(out)
	return out
}

// close ends the program and everything it has started, and returns when they
// are gone.
func (c *child) close() {
	c.once.Do(func() {
		_ = c.stdin.Close() // it may have ended by itself
		c.wait(politely)
		_ = c.life.Close()
		if !c.wait(firmly) {
			_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // the supervisor hangs
			c.wait(firmly)
		}
		_ = c.stdout.Close()
	})
}

func (c *child) wait(most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

// explain ends the program and tells how it ended, with its last words.
func (c *child) explain(err error) error {
	c.close()
	text := "the program has ended the connection"
	select {
	case <-c.done:
		if c.err != nil {
			text = "the program ended: " + c.err.Error()
		}
	default:
	}
	if err != nil && !errors.Is(err, io.EOF) {
		text = err.Error() + "; " + text
	}
	if said := c.said.String(); said != "" {
		text += "; it said: " + said
	}
	return errors.New(text)
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - keepSaid; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(string(t.kept), "\x00", ""), ""))
}
