// Package redistest gives tests a Redis server of their own that they may stop
// and start again.
package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Server is a redis-server that ends with the test.
type Server struct {
	t    testing.TB
	dir  string
	stop func()
}

// The script runs the server until its standard input closes, which happens
// when this test binary ends, however it ends.
const keeper = `
redis-server --port 0 --unixsocket "$1" --save '' --appendonly no --dir "$2" >/dev/null 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -KILL "$server"
wait "$server"
`

// Start starts a server on a socket in a directory of its own. The test fails,
// saying what to do, when there is no redis-server and none can be installed.
func Start(t testing.TB) *Server {
	t.Helper()
	if err := install(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "studio-redis-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir}
	t.Cleanup(func() { s.Stop(); _ = os.RemoveAll(dir) })
	s.Again()
	return s
}

// URL is what REDIS_URL would be.
func (s *Server) URL() string { return "unix://" + s.socket() }

func (s *Server) socket() string { return filepath.Join(s.dir, "redis.sock") }

// Stop ends the server; nothing is kept.
func (s *Server) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// Again starts the server that was stopped.
func (s *Server) Again() {
	s.t.Helper()
	_ = os.Remove(s.socket())
	server := exec.CommandContext(context.Background(), "sh", "-c", keeper, "keeper", s.socket(), s.dir)
	stdin, err := server.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.stop = func() { _ = stdin.Close(); _ = server.Wait() }
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(5 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", s.socket())
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("redis-server does not start: %v", err)
		}
	}
}

// install makes sure once per test binary that there is a redis-server.
var install = sync.OnceValue(func() error {
	if _, err := exec.LookPath("redis-server"); err == nil {
		return nil
	}
	const advice = "the tests need redis-server: install it (Debian: apt-get install redis-server)"
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("%s", advice)
	}
	get := exec.Command(apt, "install", "-y", "--no-install-recommends", "redis-server")
	get.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("%s; installing it failed: %w: %s", advice, err, out)
	}
	return nil
})
