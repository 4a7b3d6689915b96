package studio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Service is a database or cache of the machine that a measurement starts,
// takes away and gives back.
type Service struct {
	Address string // host:port

	program string
	args    []string
	as      *syscall.Credential
	dir     string
	cmd     *exec.Cmd
	ended   chan error
}

// NewPostgres makes a database server in the directory, with every write on the
// disk before it answers, and starts it.
func NewPostgres(ctx context.Context, dir string) (*Service, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	s := &Service{program: filepath.Join(bin, "postgres"), dir: filepath.Join(dir, "postgres")}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		if s.as, err = credential("postgres"); err != nil {
			return nil, err
		}
		if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid))); err != nil { //nolint:gosec // others may look into the directory above, which holds nothing
			return nil, err
		}
	}
	data := filepath.Join(s.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "studio", "-A", "trust", "-E", "UTF8", "--locale=C") //nolint:gosec // of the machine
	initdb.Dir, initdb.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.as}
	if text, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, text)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s.Address = "127.0.0.1:" + port
	s.args = []string{"-D", data, "-k", s.dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "shared_buffers=128MB"}
	isReady := filepath.Join(bin, "pg_isready")
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	for range 600 {
		if exec.CommandContext(ctx, isReady, "-q", "-h", "127.0.0.1", "-p", port).Run() == nil { //nolint:gosec // of the machine
			return s, nil
		}
		<-time.After(50 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("PostgreSQL does not get ready"), s.End(syscall.SIGQUIT))
}

// NewRedis makes a Redis server that keeps nothing and starts it.
func NewRedis(ctx context.Context, dir string) (*Service, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis is needed (Debian: apt-get install redis-server): %w", err)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &Service{Address: "127.0.0.1:" + port, program: program, dir: dir,
		args: []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir}}
	return s, s.Start(ctx)
}

func postgresBin() (string, error) {
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin"} {
		found, err := filepath.Glob(pattern)
		if err == nil && len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("PostgreSQL is needed (Debian: apt-get install postgresql): %w", err)
	}
	return filepath.Dir(initdb), nil
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// Start starts the server and waits until it takes connections, at most 60 s.
// It outlives ctx: Stop it.
func (s *Service) Start(ctx context.Context) error {
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.program, s.args...)
	s.cmd.Dir, s.cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.as}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended, cmd := make(chan error, 1), s.cmd
	s.ended = ended
	go func() { ended <- cmd.Wait() }()
	limit := time.Now().Add(time.Minute)
	for time.Now().Before(limit) {
		select {
		case err := <-ended:
			return fmt.Errorf("%s ended: %w", s.program, err)
		case <-time.After(10 * time.Millisecond):
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", s.Address)
		if err == nil {
			return conn.Close()
		}
	}
	return errors.Join(fmt.Errorf("%s takes no connections", s.program), s.End(syscall.SIGKILL))
}

// End sends the signal and waits until the server is gone. For PostgreSQL
// SIGINT is a fast stop and SIGQUIT an immediate one; see pg_ctl.
func (s *Service) End(sig syscall.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil {
		return err
	}
	select {
	case err := <-s.ended:
		var code *exec.ExitError // says how, which we know
		if errors.As(err, &code) {
			return nil
		}
		return err
	case <-time.After(30 * time.Second):
		return errors.Join(fmt.Errorf("%s does not end", s.program), s.cmd.Process.Kill())
	}
}
