// Package clitest helps to test the command unio, as a process and within that of the test. The tests
// of a package have a TestMain that calls [Main].
package clitest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
)

// Deadline bounds what a test waits for.
const Deadline = 20 * time.Second

// Binary is the path of the built command.
var Binary string

// Main builds the command, runs the tests of a package and returns the status of the process.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "unio")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	Binary, err = testenv.Build(dir, "-ldflags", "-X main.version=1.2.3-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	status := 1
	// The options files of whoever runs the tests are none of theirs.
	if err == nil && os.Setenv("XDG_CONFIG_HOME", dir) == nil {
		status = m.Run()
	}
	_ = os.RemoveAll(dir)
	return status
}

// Process is a running command. Its standard error is read.
type Process struct {
	*testenv.Process
	t *testing.T
}

// Run starts the command. It is killed at the end of the test if it still runs.
func Run(t *testing.T, args ...string) *Process {
	t.Helper()
	return RunTo(t, nil, args...)
}

// RunTo is [Run] with standard output going to w.
func RunTo(t *testing.T, w io.Writer, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(Binary, args...)
	cmd.Stdout = w
	return Launch(t, cmd)
}

// Launch is [Run] for any program.
func Launch(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	return &Process{Process: testenv.Start(t, cmd), t: t}
}

// File writes a configuration and returns its path.
func File(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "unio.conf")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Dial connects to a port of this machine.
func Dial(t *testing.T, port int) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), Deadline)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(Deadline)); err != nil {
		t.Fatal(err)
	}
	return c
}

// Terminate ends a process as an operator does.
func (p *Process) Terminate() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	if status := p.Status(); status != exit.OK {
		p.t.Errorf("status %d\n%s", status, p.Text())
	}
}

// Mosquitto is Debian's.
const Mosquitto = "/usr/sbin/mosquitto"
