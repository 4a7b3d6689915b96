package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

// The script runs the server and waits for its standard input to close, which
// happens when this test binary ends, however it ends; then it stops the
// server and removes its files.
const keeper = `
set -u
bin=$1 dir=$2
"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c synchronous_commit=off \
  -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB -c max_wal_size=4GB >"$dir/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$dir"
`

// startPostgres makes a throw-away cluster that lives until keep is closed,
// at the latest when this process ends, and listens on a Unix socket only, so
// that it needs no free port.
func startPostgres() (url string, keep io.Closer, err error) {
	bin, err := findPostgres()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "studio-pg-")
	if err != nil {
		return "", nil, err
	}
	var as []string // PostgreSQL refuses to run as root
	if os.Geteuid() == 0 {
		as = []string{"runuser", "-u", "postgres", "--"}
		if err := giveTo("postgres", dir); err != nil {
			return "", nil, err
		}
	}
	initdb := command(as, filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"),
		"-U", "studio", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	server := command(as, "sh", "-c", keeper, "keeper", bin, dir)
	server.Dir = "/"
	if keep, err = server.StdinPipe(); err != nil {
		return "", nil, err
	}
	if err := server.Start(); err != nil {
		return "", nil, fmt.Errorf("start postgres: %w", err)
	}
	url = "postgres://studio@/postgres?host=" + dir
	if err := untilReady(bin, dir); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		return "", nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(log))
	}
	return url, keep, nil
}

func command(as []string, name string, args ...string) *exec.Cmd {
	all := append(append(append([]string{}, as...), name), args...)
	return exec.Command(all[0], all[1:]...)
}

func giveTo(name, dir string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("PostgreSQL refuses to run as root and there is no user %s: %w", name, err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, -1)
}

// untilReady asks until the server accepts connections, for a minute.
func untilReady(bin, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-q", "-h", dir).Run() == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("postgres did not become ready within a minute")
		case <-tick.C:
		}
	}
}

// findPostgres returns the folder of the server's programs, installing them
// where that is possible.
func findPostgres() (bin string, err error) {
	if bin := installed(); bin != "" {
		return bin, nil
	}
	const advice = "the tests need PostgreSQL: set TEST_DATABASE_URL to a server whose role may create databases, or install one (Debian: apt-get install postgresql)"
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", fmt.Errorf("%s", advice)
	}
	install := exec.Command(apt, "install", "-y", "--no-install-recommends", "postgresql")
	install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s; installing it failed: %w: %s", advice, err, out)
	}
	if bin := installed(); bin != "" {
		return bin, nil
	}
	return "", fmt.Errorf("%s", advice)
}

func installed() string {
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb", "/opt/homebrew/opt/postgresql*/bin/initdb", "/usr/local/pgsql/bin/initdb"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return filepath.Dir(found[len(found)-1])
		}
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p)
	}
	return ""
}
