//go:build unix

package doors

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// patience bounds every wait for an event; what works takes a small part of it.
const patience = 30 * time.Second

// program is the path of the built command.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "unio-doors-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	var flags []string
	if raceDetector {
		flags = append(flags, "-race")
	}
	if program, err = testenv.Build(dir, flags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// broker is unio's process.
type broker struct {
	*testenv.Process
	t    *testing.T
	conf string
	once sync.Once // stops it
}

// startBroker starts unio with the lines of a configuration, and waits until it runs.
func startBroker(t *testing.T, lines ...string) *broker {
	t.Helper()
	return startCommand(t, nil, lines...)
}

// startCommand is startBroker with a change to the command.
func startCommand(t *testing.T, change func(*exec.Cmd), lines ...string) *broker {
	t.Helper()
	b := &broker{t: t, conf: filepath.Join(t.TempDir(), "unio.conf")}
	b.configure(lines...)
	cmd := exec.Command(program, "-c", b.conf)
	if change != nil {
		change(cmd)
	}
	b.Process = testenv.Start(t, cmd)
	t.Cleanup(b.stop)
	b.await("running$")
	return b
}

// configure writes the configuration.
func (b *broker) configure(lines ...string) {
	b.t.Helper()
	me, err := user.Current()
	if err != nil {
		b.t.Fatal(err)
	}
	all := append([]string{"user " + me.Username}, lines...)
	writeFile(b.t, b.conf, []byte(strings.Join(all, "\n")+"\n"))
}

// stop ends the broker as an operator does, and checks that it ends well.
func (b *broker) stop() { b.once.Do(b.end) }

func (b *broker) end() {
	if err := b.Stop(); err != nil {
		b.t.Error(err)
	} else if b.t.Failed() {
		b.t.Errorf("the broker's log:\n%s", b.Text())
	}
}

// withoutTime returns a line of the log without what is before the message.
func withoutTime(line string) string {
	_, message, _ := strings.Cut(line, ": ")
	return message
}

// since returns the messages of the log from a mark on.
func (b *broker) since(mark int) []string {
	lines := b.Since(mark)
	for i := range lines {
		lines[i] = withoutTime(lines[i])
	}
	return lines
}

// await waits for a message of the log that matches.
func (b *broker) await(pattern string) string {
	b.t.Helper()
	return b.awaitFrom(0, pattern)
}

// awaitFrom waits for a message after a mark.
func (b *broker) awaitFrom(mark int, pattern string) string {
	b.t.Helper()
	if message, begins := strings.CutPrefix(pattern, "^"); begins {
		pattern = `^\d+: ` + message
	}
	return withoutTime(b.AwaitFrom(mark, pattern))
}

// reload has the broker read its files again. It handles one signal after the other, and says something on each.
func (b *broker) reload() {
	b.t.Helper()
	mark := b.Mark()
	b.Signal(syscall.SIGHUP)
	b.awaitFrom(mark, "Reloading config")
	b.Signal(syscall.SIGUSR1)
	b.awaitFrom(mark, "There is nothing to save")
}

// listen is the line of a listener.
func listen(port int) string { return fmt.Sprintf("listener %d 127.0.0.1", port) }

func writeFile(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dial connects to a port of this machine.
func dial(t *testing.T, port int) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}
