//go:build unix

package doors

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// activate starts unio as systemd does with sockets: they are its files from 3 on, and LISTEN_PID is its process id.
func activate(sockets ...*os.File) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		args := []string{"sh", "-c", `LISTEN_PID=$$; export LISTEN_PID; exec "$@"`, "sh"}
		cmd.Args = append(args, append([]string{cmd.Path}, cmd.Args[1:]...)...)
		cmd.Path = "/bin/sh"
		cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(sockets)))
		cmd.ExtraFiles = sockets
	}
}

// socket listens, and returns the socket's file.
func socket(t *testing.T, network, address string) (*os.File, net.Addr) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, l.Addr()
}

// Listeners take the sockets that systemd has opened, by address and port, in any order; one that is not there is opened.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	dir, err := os.MkdirTemp("", "unio") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p, path := newPKI(t), filepath.Join(dir, "s")
	overUnix, _ := socket(t, "unix", path)
	one, at := socket(t, "tcp4", "127.0.0.1:0")
	secure, secureAt := socket(t, "tcp4", "127.0.0.1:0")
	port := func(a net.Addr) int { return a.(*net.TCPAddr).Port }
	own := testenv.FreePort(t)
	lines := append(p.listen(port(secureAt)), listen(port(at)), "allow_anonymous true", listen(own), "listener 0 "+path)
	sockets := []*os.File{overUnix, secure, one}
	everywhere := 0
	if testenv.HasIPv6() { // ListenStream=PORT takes both
		both, bothAt := socket(t, "tcp", ":0")
		sockets, everywhere = append(sockets, both), port(bothAt)
		lines = append(lines, fmt.Sprintf("listener %d", everywhere))
	}
	b := startCommand(t, activate(sockets...), lines...)
	b.await("Using the service manager's socket at " + at.String())
	mosquitto(t, port(at)).roundTrip()
	mosquitto(t, own).roundTrip()
	mosquitto(t, port(secureAt), p.trust()...).roundTrip()
	tool{t: t, args: []string{"--unix", path}}.roundTrip()
	if everywhere > 0 {
		mosquitto(t, everywhere).roundTrip()
		tool{t: t, args: []string{"-h", "::1", "-p", fmt.Sprint(everywhere)}}.roundTrip()
		b.await(`New client connected from 127.0.0.1:\d+ as`)
	}
	b.stop()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the path of systemd's socket is gone: %v", err)
	}
}

func TestASocketWithoutListenerIsAnError(t *testing.T) {
	t.Parallel()
	stray, at := socket(t, "tcp4", "127.0.0.1:0")
	conf := writeFile(t, filepath.Join(t.TempDir(), "unio.conf"), []byte(listen(testenv.FreePort(t))+"\n"))
	cmd := exec.Command(program, "-c", conf)
	activate(stray)(cmd)
	out, err := cmd.CombinedOutput()
	if want := "Error: the service manager passes a socket at " + at.String() + ": expected a listener"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v; no %q in:\n%s", err, want, out)
	}
}

// WatchdogSec= is answered, twice in its time.
func TestTheWatchdogIsAnsweredTwiceInItsTime(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "unio")
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
	_ = manager.SetDeadline(time.Now().Add(patience))
	expect := func(want string) {
		t.Helper()
		message := make([]byte, 64)
		n, err := manager.Read(message)
		if err != nil || string(message[:n]) != want {
			t.Fatalf("got %q, %v; want %q", message[:n], err, want)
		}
	}
	b := startCommand(t, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000") }, listen(testenv.FreePort(t)))
	expect("READY=1")
	began := time.Now()
	for range 6 {
		expect("WATCHDOG=1")
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("six signs of life within %v; one each 100ms is asked for", took)
	}
	b.stop()
}
