//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cli_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

func TestADaemonServesWhenItsStarterEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pid, log := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	port := testenv.FreePort(t)
	p := clitest.Run(t, "-d", "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true",
		"user root", "pid_file "+pid, "log_dest file "+log))
	if status := p.Status(); status != exit.OK {
		t.Fatalf("status %d\n%s", status, p.Text())
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	daemon, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || daemon == p.Cmd.Process.Pid {
		t.Fatalf("the process id's file: %q", text)
	}
	t.Cleanup(func() { _ = syscall.Kill(daemon, syscall.SIGKILL) })
	conn := clitest.Dial(t, port)
	exchange(t, conn, &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}, "20020000")
	if err := syscall.Kill(daemon, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the client is still connected")
	}
	awaitLine(t, log, "terminating\n")
}

// awaitLine waits until a file that another process writes ends so.
func awaitLine(t *testing.T, path, end string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(clitest.Deadline); ; {
		select {
		case <-tick.C:
			if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(text), end) {
				return
			}
		case <-timeout:
			text, err := os.ReadFile(path)
			t.Fatalf("%s has %q, %v", path, text, err)
		}
	}
}

func TestADaemonThatCannotListenSaysSoToItsStarter(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	p := clitest.Run(t, "-d", "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", busy.Addr().(*net.TCPAddr).Port)))
	if status := p.Status(); status != exit.Failure {
		t.Errorf("status %d", status)
	}
	p.Await("address already in use$")
}
