// Package blobtest gives tests a server that speaks S3, and holds what every
// content store must do.
package blobtest

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

	"agentstudio/internal/blob"
)

// gateway is the server the tests use, which keeps a bucket as a folder.
const (
	gateway = "github.com/versity/versitygw/cmd/versitygw"
	version = "v1.8.0"
)

// Server is a server that speaks S3 and ends with the test.
type Server struct {
	t       testing.TB
	dir     string
	address string
	stop    func()
}

// The script runs the server until its standard input closes, which happens
// when this test binary ends, however it ends.
const keeper = `
"$1" --quiet --access studio --secret studio-secret --port "$2" posix --sidecar "$3/meta" "$3/data" >"$3/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -KILL "$server"
wait "$server"
`

// Start starts a server with an empty bucket named contents. The test fails,
// saying what to do, when there is none and none can be installed.
func Start(t testing.TB) *Server {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: t.TempDir(), address: l.Addr().String()}
	_ = l.Close()
	for _, folder := range []string{"meta", "data/contents"} {
		if err := os.MkdirAll(filepath.Join(s.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.Stop)
	s.Again()
	return s
}

// Config is how the studio reaches the bucket.
func (s *Server) Config() blob.S3Config {
	return blob.S3Config{Endpoint: s.address, Insecure: true, Region: "us-east-1", Bucket: "contents", AccessKey: "studio", SecretKey: "studio-secret", PathStyle: true}
}

// Folder is where the server keeps what is in the bucket.
func (s *Server) Folder() string { return filepath.Join(s.dir, "data", "contents") }

// Stop ends the server; what it keeps stays.
func (s *Server) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// Again starts the server that was stopped.
func (s *Server) Again() {
	s.t.Helper()
	program, err := install()
	if err != nil {
		s.t.Fatal(err)
	}
	server := exec.CommandContext(context.Background(), "sh", "-c", keeper, "keeper", program, s.address, s.dir)
	stdin, err := server.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.stop = func() { _ = stdin.Close(); _ = server.Wait() }
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(5 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("the S3 server does not start: %v: %s", err, log)
		}
	}
}

// install finds the program once per test binary, and builds it where it is
// missing.
var install = sync.OnceValues(func() (string, error) {
	root, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(root, "go.mod")); missing == nil {
			break
		}
		if filepath.Dir(root) == root {
			err = fmt.Errorf("the tests must run inside the project")
		}
		root = filepath.Dir(root)
	}
	if err != nil {
		return "", err
	}
	program := filepath.Join(root, "bin", "versitygw-"+version)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	scratch, err := os.MkdirTemp("", "studio-s3-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	build := exec.CommandContext(context.Background(), "go", "install", gateway+"@"+version)
	build.Env = append(os.Environ(), "GOBIN="+scratch, "GOFLAGS=")
	build.Dir = scratch // outside of the module: its versions are its own
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the tests need an S3 server: run scripts/setup; installing it failed: %w: %s", err, out)
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o750); err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(scratch, "versitygw"))
	if err != nil {
		return "", err
	}
	fresh := program + fmt.Sprintf(".%d", os.Getpid())
	if err := os.WriteFile(fresh, text, 0o700); err != nil { //nolint:gosec // a program
		return "", err
	}
	return program, os.Rename(fresh, program)
})
