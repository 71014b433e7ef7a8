package cli_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// deadline bounds what a test waits for.
const deadline = 20 * time.Second

// binary is the path of the built command.
var binary string

// TestMain builds the command once for the tests that run it as a process.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "unio")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary, err = testenv.Build(dir, "-ldflags", "-X main.version=1.2.3-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	status := 1
	// The options files of whoever runs the tests are none of theirs.
	if err == nil && os.Setenv("XDG_CONFIG_HOME", dir) == nil {
		status = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// process is a running command. Its standard error is read.
type process struct {
	*testenv.Process
	t *testing.T
}

// run starts the command. It is killed at the end of the test if it still runs.
func run(t *testing.T, args ...string) *process {
	t.Helper()
	return runTo(t, nil, args...)
}

// runTo is run with standard output going to w.
func runTo(t *testing.T, w io.Writer, args ...string) *process {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Stdout = w
	return launch(t, cmd)
}

// launch is run for any program.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	return &process{testenv.Start(t, cmd), t}
}

// file writes a configuration and returns its path.
func file(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "unio.conf")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dial connects to a port of this machine.
func dial(t *testing.T, port int) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), deadline)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return c
}
