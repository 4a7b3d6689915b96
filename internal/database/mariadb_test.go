package database_test

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver named "mysql"
)

// The script runs the server until its standard input closes, which happens
// when this test binary ends, however it ends.
const keeper = `
mariadbd --no-defaults --datadir="$1" --socket="$1/s" --port="$2" --bind-address=127.0.0.1 --pid-file="$1/pid" \
  --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M --performance-schema=off >"$1/../log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -KILL "$server"
wait "$server"
`

// mariaDB starts a server of the test's own and returns its address. The test
// fails, saying what to do, when there is none and none can be installed.
func mariaDB(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("mariadbd"); err != nil {
		apt, missing := exec.LookPath("apt-get")
		if missing != nil || os.Geteuid() != 0 {
			t.Fatal("the tests need MariaDB: install it (Debian: apt-get install mariadb-server)")
		}
		get := exec.Command(apt, "install", "-y", "--no-install-recommends", "mariadb-server")
		get.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		if out, err := get.CombinedOutput(); err != nil {
			t.Fatalf("install MariaDB: %v: %s", err, out)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "studio-maria-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	var as []string // MariaDB refuses to run as root
	if os.Geteuid() == 0 {
		u, err := user.Lookup("mysql")
		if err != nil {
			t.Fatal(err)
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dir, data} {
			if err := os.Chown(d, uid, -1); err != nil {
				t.Fatal(err)
			}
		}
		as = []string{"runuser", "-u", "mysql", "--"}
	}
	run := func(args ...string) *exec.Cmd {
		all := append(append([]string{}, as...), args...)
		c := exec.Command(all[0], all[1:]...)
		c.Dir = "/"
		return c
	}
	if out, err := run("mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput(); err != nil {
		t.Fatalf("make the database: %v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	server := run("sh", "-c", keeper, "keeper", data, strconv.Itoa(port))
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = server.Wait() })
	db, err := sql.Open("mysql", fmt.Sprintf("root@tcp(127.0.0.1:%d)/", port))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		_, err := db.Exec(`CREATE DATABASE shop`)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("MariaDB does not start: %v: %s", err, log)
		}
	}
	for _, statement := range []string{`CREATE USER reader@'%' IDENTIFIED BY 'hunter2'`, `GRANT ALL ON shop.* TO reader@'%'`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}
