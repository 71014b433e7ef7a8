package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
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
	b, addr, err := startUnio(dir)
	if err != nil {
		return complain(err)
	}
	brokerAddr = addr
	status := m.Run()
	if err := b.Stop(); err != nil {
		return complain(err)
	}
	return status
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "interop:", err)
	return 1
}

// startUnio builds the broker and starts it on a port of its own.
func startUnio(dir string) (b *testenv.Process, addr string, err error) {
	var flags []string
	if raceDetector {
		flags = append(flags, "-race")
	}
	bin, err := testenv.Build(dir, flags...)
	if err != nil {
		return nil, "", err
	}
	for range 5 { // another process may take the port between the choice and its use
		if b, addr, err = launch(bin); err == nil {
			return b, addr, nil
		}
	}
	return nil, "", err
}

// launch starts the broker, and waits until it takes connections: it logs that as Mosquitto does.
func launch(bin string) (b *testenv.Process, addr string, err error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	if b, err = testenv.Launch(exec.Command(bin, "-p", strconv.Itoa(port), "-v")); err != nil {
		return nil, "", err
	}
	if _, err := b.Find(`version .*running$`); err != nil {
		b.Kill()
		return nil, "", err
	}
	return b, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
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
