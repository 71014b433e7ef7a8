//go:build unix

package cli_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

func rewrite(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSIGHUPReloadsOrKeepsWhatWasInForce(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	listener := fmt.Sprintf("listener %d 127.0.0.1", port)
	path := clitest.File(t, listener, "user root")
	p := clitest.Run(t, "-c", path)
	p.Await("running$")
	hello := &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}
	exchange(t, clitest.Dial(t, port), hello, "20020005")

	rewrite(t, path, listener, "allow_anonymous true", "max_qos 7", "nonsense")
	p.Signal(syscall.SIGHUP)
	p.Await(`^\d+: Reloading config\.$`)
	p.Await(`: Error: ` + path + `:3: max_qos: expected 0 to 2, not 7$`)
	p.Await(`: Error: ` + path + `:4: expected an option, not "nonsense"$`)
	p.Await(`: Error: The configuration was not reloaded`)
	exchange(t, clitest.Dial(t, port), hello, "20020005")

	rewrite(t, path, listener, "allow_anonymous true", "log_type all", "password_file /nowhere/passwd")
	p.Signal(syscall.SIGHUP)
	p.Await(path + `:4: password_file: the password file cannot be read`)
	exchange(t, clitest.Dial(t, port), hello, "20020005")

	rewrite(t, path, listener, "allow_anonymous true", "log_timestamp_format now", "user root", "listener 1 127.0.0.1")
	p.Signal(syscall.SIGHUP)
	p.Await(`Warning: listener 127\.0\.0\.1:1 is new and is not opened; this needs a restart$`)
	p.Signal(syscall.SIGUSR1)
	p.Await(`^now: There is nothing to save`)
	conn := clitest.Dial(t, port)
	exchange(t, conn, hello, "20020000")

	rewrite(t, path, listener, "allow_anonymous false")
	p.Signal(syscall.SIGHUP)
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an anonymous client is still there: %v", err)
	}
	p.Await(`Client x disconnected, not authorised\.$`)
	p.Terminate()
}

func TestSIGRTMINRotatesTheLogAndDoesNotEndIt(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t)), "log_dest file "+log, "log_dest stderr", "user root"))
	p.Await("running$")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	const sigRTMin = 34
	p.Signal(syscall.Signal(sigRTMin)) // Go programs cannot receive it
	p.Signal(syscall.Signal(sigRTMin + 1))
	for {
		p.Signal(syscall.SIGUSR1) // signals of different kinds have no order
		p.Await("There is nothing to save")
		if _, err := os.Stat(log); err == nil {
			break
		}
	}
	p.Terminate()
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "terminating") {
		t.Errorf("the new file has %q, %v", text, err)
	}
}

func TestSIGUSR2PrintsTheSubscriptions(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	stdout, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	port := testenv.FreePort(t)
	p := clitest.RunTo(t, stdout, "-p", fmt.Sprint(port))
	p.Await("running$")
	conn := clitest.Dial(t, port)
	exchange(t, conn, &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}, "20020000")
	exchange(t, conn, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "a/#", Options: 1}}}, "9003000101")
	p.Signal(syscall.SIGUSR2)
	p.Signal(syscall.SIGTERM)
	if status := p.Status(); status != exit.OK {
		t.Errorf("status %d\n%s", status, p.Text())
	}
	text, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(text), "        a\n          # (x, 1)\n") {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestAReloadWithoutAFileChangesNothing(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	p := clitest.Run(t, "-v", "-p", fmt.Sprint(port))
	p.Await("running$")
	p.Signal(syscall.SIGHUP)
	p.Await("Reloading config")
	conn := clitest.Dial(t, port)
	exchange(t, conn, &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}, "20020000")
	p.Await("Sending CONNACK to x")
	if strings.Contains(p.Text(), "Warning: listener") || strings.Contains(p.Text(), "Error") {
		t.Errorf("got\n%s", p.Text())
	}
	p.Terminate()
}

func TestTheAuditLogIsRotatedAndBelongsToTheUser(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "unio") // whose path others may walk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { // for the file that is made after the change of user
		t.Fatal(err)
	}
	trail, port := filepath.Join(dir, "audit"), testenv.FreePort(t)
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "audit_log "+trail, "user nobody"))
	p.Await("running$")
	refused := &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}
	exchange(t, clitest.Dial(t, port), refused, "20020005")
	if err := os.Rename(trail, trail+".1"); err != nil {
		t.Fatal(err)
	}
	const rotate = 35 // SIGRTMIN+1
	p.Signal(syscall.Signal(rotate))
	for {
		p.Signal(syscall.SIGUSR1) // signals of different kinds have no order
		p.Await("(?i)nothing .*save")
		if _, err := os.Stat(trail); err == nil {
			break
		}
	}
	exchange(t, clitest.Dial(t, port), refused, "20020005")
	p.Terminate()
	for _, path := range []string{trail + ".1", trail} {
		text, err := os.ReadFile(path)
		if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), `"event":"login_failed","client":"x"`) {
			t.Errorf("%s has %q, %v", path, text, err)
		}
		if os.Geteuid() != 0 {
			continue
		}
		info, err := os.Stat(path)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid == 0 {
			t.Errorf("%s is root's, %v", path, err)
		}
	}
}
