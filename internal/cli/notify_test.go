//go:build unix

package cli_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

func TestTheServiceManagerIsToldWhenClientsAreServed(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "unio") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Close() })
	if err := manager.SetDeadline(time.Now().Add(clitest.Deadline)); err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{dir, path} { // to whatever user it changes to
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	port := testenv.FreePort(t)
	cmd := exec.Command(clitest.Binary, "-p", strconv.Itoa(port))
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	p := clitest.Launch(t, cmd)
	expect := func(want string) {
		t.Helper()
		message := make([]byte, 64)
		n, err := manager.Read(message)
		if err != nil || string(message[:n]) != want {
			t.Fatalf("got %q, %v; want %q", message[:n], err, want)
		}
	}
	expect("READY=1")
	clitest.Dial(t, port)
	p.Terminate()
	expect("STOPPING=1")
}
