package interop

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for an event; what works takes a small part of it.
const patience = 30 * time.Second

// brokerAddr is the broker under test, host:port. TestMain sets it.
var brokerAddr string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	brokerAddr = os.Getenv("UNIO_INTEROP_BROKER")
	if brokerAddr != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "unio-interop-")
	if err != nil {
		return complain(err)
	}
	defer os.RemoveAll(dir)
	b, err := startUnio(dir)
	if err != nil {
		return complain(err)
	}
	brokerAddr = b.addr
	status := m.Run()
	if err := b.stop(); err != nil {
		return complain(err)
	}
	return status
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "interop:", err)
	return 1
}

// unio is the broker's process, started from its binary.
type unio struct {
	addr  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the log is at its end
	ready chan struct{} // closed by the log line that says that it listens

	mu  sync.Mutex
	log strings.Builder
}

func startUnio(dir string) (*unio, error) {
	bin := filepath.Join(dir, "unio")
	args := []string{"build", "-o", bin}
	if raceDetector {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "github.com/uniomq/unio/cmd/unio")...)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build cmd/unio: %w\n%s", err, out)
	}
	var err error
	for range 5 { // another process may take the port between the choice and its use
		var b *unio
		if b, err = launch(bin); err == nil {
			return b, nil
		}
	}
	return nil, err
}

func launch(bin string) (*unio, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	b := &unio{
		addr:  net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		cmd:   exec.Command(bin, "-p", strconv.Itoa(port), "-v"),
		ended: make(chan struct{}),
		ready: make(chan struct{}),
	}
	stderr, err := b.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start unio: %w", err)
	}
	go b.readLog(bufio.NewScanner(stderr))
	select {
	case <-b.ready:
		return b, nil
	case <-b.ended:
		return nil, fmt.Errorf("unio ended at its start: %w\n%s", b.cmd.Wait(), b.text())
	case <-time.After(patience):
		err := errors.Join(b.cmd.Process.Kill(), b.cmd.Wait())
		return nil, fmt.Errorf("unio does not say that it listens: %w\n%s", err, b.text())
	}
}

// listening is the log line after which the broker takes connections, as Mosquitto writes it.
var listening = regexp.MustCompile(`version .*running$`)

// readLog keeps the broker's log and ends with its standard error.
func (b *unio) readLog(lines *bufio.Scanner) {
	defer close(b.ended)
	announced := false
	for lines.Scan() {
		b.mu.Lock()
		b.log.WriteString(lines.Text() + "\n")
		b.mu.Unlock()
		if !announced && listening.MatchString(lines.Text()) {
			announced = true
			close(b.ready)
		}
	}
}

func (b *unio) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// stop ends the broker as an operator does and checks that it ends well.
func (b *unio) stop() error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("unio is gone: %w\n%s", errors.Join(err, b.cmd.Wait()), b.text())
	}
	select {
	case <-b.ended:
	case <-time.After(patience):
		err := errors.Join(b.cmd.Process.Kill(), b.cmd.Wait())
		return fmt.Errorf("unio does not end on SIGTERM: %w\n%s", err, b.text())
	}
	if err := b.cmd.Wait(); err != nil {
		return fmt.Errorf("unio ends on SIGTERM with %w\n%s", err, b.text())
	}
	if strings.Contains(b.text(), "panic") {
		return fmt.Errorf("unio met a panic:\n%s", b.text())
	}
	return nil
}

// freePort returns a port of the loopback interface that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("a TCP listener at %v", l.Addr())
	}
	return addr.Port, nil
}
