//go:build unix

package doors

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
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
	program = filepath.Join(dir, "unio")
	build := exec.Command("go", "build", "-o", program)
	if raceDetector {
		build.Args = append(build.Args, "-race")
	}
	build.Args = append(build.Args, "github.com/uniomq/unio/cmd/unio")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build cmd/unio: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// broker is unio's process.
type broker struct {
	t     *testing.T
	cmd   *exec.Cmd
	conf  string
	once  sync.Once     // stops it
	ended chan struct{} // the log is at its end

	mu    sync.Mutex
	grown *sync.Cond
	lines []string // of the log
	over  bool
}

// startBroker starts unio with the lines of a configuration, and waits until it runs.
func startBroker(t *testing.T, lines ...string) *broker {
	t.Helper()
	return startCommand(t, nil, lines...)
}

// startCommand is startBroker with a change to the command.
func startCommand(t *testing.T, change func(*exec.Cmd), lines ...string) *broker {
	t.Helper()
	b := &broker{t: t, conf: filepath.Join(t.TempDir(), "unio.conf"), ended: make(chan struct{})}
	b.grown = sync.NewCond(&b.mu)
	b.configure(lines...)
	b.cmd = exec.Command(program, "-c", b.conf)
	if change != nil {
		change(b.cmd)
	}
	out, err := b.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go b.collect(out)
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

func (b *broker) collect(r io.Reader) {
	defer close(b.ended)
	for s := bufio.NewScanner(r); s.Scan(); {
		_, line, _ := strings.Cut(s.Text(), ": ") // the time
		b.mu.Lock()
		b.lines = append(b.lines, line)
		b.grown.Broadcast()
		b.mu.Unlock()
	}
	b.mu.Lock()
	b.over = true
	b.grown.Broadcast()
	b.mu.Unlock()
}

// stop ends the broker as an operator does, and checks that it ends well.
func (b *broker) stop() { b.once.Do(b.end) }

func (b *broker) end() {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
	case <-time.After(patience):
		_ = b.cmd.Process.Kill()
		b.t.Error("unio does not end on SIGTERM")
	}
	if err := b.cmd.Wait(); err != nil {
		b.t.Errorf("unio ends with %v", err)
	}
	if text := b.text(); strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") || b.t.Failed() {
		b.t.Errorf("the broker's log:\n%s", text)
	}
}

func (b *broker) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

// mark is where the log ends now.
func (b *broker) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lines)
}

// since returns the log from a mark on.
func (b *broker) since(mark int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.lines[mark:]...)
}

// await waits for a line of the log that matches.
func (b *broker) await(pattern string) string {
	b.t.Helper()
	return b.awaitFrom(0, pattern)
}

// awaitFrom waits for a line behind a mark.
func (b *broker) awaitFrom(mark int, pattern string) string {
	b.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.AfterFunc(patience, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.over = true
		b.grown.Broadcast()
	})
	defer late.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for seen := mark; ; b.grown.Wait() {
		for ; seen < len(b.lines); seen++ {
			if re.MatchString(b.lines[seen]) {
				return b.lines[seen]
			}
		}
		if b.over {
			b.t.Fatalf("no line %q in:\n%s", pattern, strings.Join(b.lines[mark:], "\n"))
		}
	}
}

// reload has the broker read its files again. It handles one signal after the other, and says something on each.
func (b *broker) reload() {
	b.t.Helper()
	mark := b.mark()
	if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		b.t.Fatal(err)
	}
	b.awaitFrom(mark, "Reloading config")
	if err := b.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		b.t.Fatal(err)
	}
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
