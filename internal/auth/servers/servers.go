// Package servers starts the servers that tests of authentication ask, from Debian's packages: each with its data in a temporary
// folder, on a free port of the loopback interface, and stopped when the test ends. A test is skipped if the server is not installed, and
// fails instead where UNIO_REQUIRE_INTEROP is 1.
//
// Only tests use it. A server is a process of its own; when the tests run as root it runs as nobody, since some
// servers refuse root. One goroutine for each waits for its end.
package servers

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// patience is how long a server may take to start, and to stop.
const patience = 60 * time.Second

// host is where servers listen.
const host = "127.0.0.1"

// freePort returns a port that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(testenv.FreePort(t))
}

// folder returns a folder for a server's data that belongs to who runs it. Its path is short, since sockets lie in it.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "unio")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	give(t, dir)
	return dir
}

// write makes a file for a server.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	give(t, path)
	return path
}

func command(t testing.TB, dir, program string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(program, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), "HOME="+dir, "TZ=UTC", "LC_ALL=C")
	asNobody(t, cmd)
	return cmd, &out
}

// run runs a program to its end, which must be a success.
func run(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	cmd, out := command(t, dir, program, args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// start runs a server until the test ends, and returns when one can connect to its port.
func start(t testing.TB, dir, port string, stop os.Signal, program string, args ...string) {
	t.Helper()
	cmd, out := command(t, dir, program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(stop)
		select {
		case err := <-ended:
			if err != nil && cmd.ProcessState.ExitCode() > 0 {
				t.Logf("%s ended: %v", program, err)
			}
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			t.Logf("%s was killed: %v", program, <-ended)
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(patience); time.Now().Before(until); <-tick.C {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", program, err, out)
		default:
		}
		c, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err == nil {
			_ = c.Close()
			return
		}
	}
	t.Fatalf("%s does not listen on port %s\n%s", program, port, out)
}

// Password is that of the users that the servers have.
const Password = "s3cret"

// PostgreSQL starts one and returns the URL of its superuser, without the password.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	const folders = "/usr/lib/postgresql/*/bin"
	server, initdb := testenv.Program(t, "postgres", "postgresql", folders), testenv.Program(t, "initdb", "postgresql", folders)
	dir, port := folder(t), freePort(t)
	data := filepath.Join(dir, "data")
	run(t, dir, initdb, "-D", data, "-A", "scram-sha-256", "-U", "mqtt", "--pwfile", write(t, filepath.Join(dir, "pw"), Password), "-N")
	ready := testenv.Program(t, "pg_isready", "postgresql", folders)
	start(t, dir, port, os.Interrupt, server, "-D", data, "-k", dir, "-h", host, "-p", port, "-F")
	run(t, dir, "sh", "-c", `n=600; until "$0" -q -h "$1" -p "$2"; do n=$((n-1)); [ $n -gt 0 ] || exit 1; sleep 0.1; done`, ready, host, port) // it listens before it answers
	return fmt.Sprintf("postgres://mqtt@%s:%s/postgres?sslmode=disable", host, port)
}

// MariaDB starts one and returns the URL of a user, without the password, with a database of its own.
func MariaDB(t testing.TB) string {
	t.Helper()
	server, install := testenv.Program(t, "mariadbd", "mariadb-server"), testenv.Program(t, "mariadb-install-db", "mariadb-server")
	dir, port := folder(t), freePort(t)
	data := filepath.Join(dir, "data")
	run(t, dir, install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	users := write(t, filepath.Join(dir, "users.sql"),
		"CREATE DATABASE mqtt;\nCREATE USER mqtt@'%' IDENTIFIED BY '"+Password+"';\nGRANT ALL ON mqtt.* TO mqtt@'%';\n")
	start(t, dir, port, syscall.SIGTERM, server, "--no-defaults", "--datadir="+data, "--bind-address="+host, "--port="+port, "--init-file="+users,
		"--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"), "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0")
	return fmt.Sprintf("mysql://mqtt@%s:%s/mqtt", host, port)
}

// Redis starts one that asks for the password, and returns its URL.
func Redis(t testing.TB) string {
	t.Helper()
	server := testenv.Program(t, "redis-server", "redis-server")
	dir, port := folder(t), freePort(t)
	start(t, dir, port, syscall.SIGTERM, server, "--bind", host, "--port", port, "--save", "", "--dir", dir, "--requirepass", Password)
	return "redis://" + net.JoinHostPort(host, port)
}
