package clitest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/uniomq/unio/internal/cli"
	"github.com/uniomq/unio/internal/testenv"
)

// StartBroker runs a broker and returns its port.
func StartBroker(t *testing.T) string {
	t.Helper()
	port := strconv.Itoa(testenv.FreePort(t))
	Run(t, "-p", port).Await("running$")
	return port
}

// Unio runs the command in this process.
func Unio(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = cli.Main("1.2.3-test", args, &out, &errs)
	return status, out.String(), errs.String()
}

// ExpectRun runs the command and compares what it prints.
func ExpectRun(t *testing.T, wantStatus int, wantOut, wantErr string, args ...string) {
	t.Helper()
	status, out, errs := Unio(args...)
	if status != wantStatus || out != wantOut || errs != wantErr {
		t.Errorf("%q:\nstatus %d, want %d\nstdout %q\n  want %q\nstderr %q\n  want %q", args, status, wantStatus, out, wantOut, errs, wantErr)
	}
}

// growing is a buffer that can be waited on.
type growing struct {
	mu   sync.Mutex
	more *sync.Cond
	b    bytes.Buffer
	end  bool
}

func newGrowing() *growing {
	g := &growing{}
	g.more = sync.NewCond(&g.mu)
	return g
}

func (g *growing) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.more.Broadcast()
	return g.b.Write(p)
}

// Background is a command that runs in this process.
type Background struct {
	t        *testing.T
	out      *growing
	errs     bytes.Buffer
	status   int
	finished chan struct{}
}

// InBackground starts the command.
func InBackground(t *testing.T, args ...string) *Background {
	t.Helper()
	b := &Background{t: t, out: newGrowing(), finished: make(chan struct{})}
	go func() {
		defer close(b.finished)
		b.status = cli.Main("1.2.3-test", args, b.out, &b.errs)
		b.out.mu.Lock()
		b.out.end = true
		b.out.more.Broadcast()
		b.out.mu.Unlock()
	}()
	return b
}

// WaitFor waits until standard output contains a text.
func (b *Background) WaitFor(text string) {
	b.t.Helper()
	b.out.mu.Lock()
	defer b.out.mu.Unlock()
	for !strings.Contains(b.out.b.String(), text) {
		if b.out.end {
			b.t.Fatalf("no %q in %q; stderr %q", text, b.out.b.String(), b.errs.String())
		}
		b.out.more.Wait()
	}
}

// Result waits for the end. What -d printed is left out.
func (b *Background) Result() (status int, stdout, stderr string) {
	<-b.finished
	var lines []string
	for line := range strings.Lines(b.out.b.String()) {
		if !strings.HasPrefix(line, "Client ") && !strings.HasPrefix(line, "Subscribed ") {
			lines = append(lines, line)
		}
	}
	return b.status, strings.Join(lines, ""), b.errs.String()
}

// Command prepares a run of the built command with a file as its standard input.
func Command(t *testing.T, input string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(Binary, args...)
	if input != "" {
		f, err := os.Open(input)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		cmd.Stdin = f
	}
	return cmd
}

// Links makes links by the names of Mosquitto's programs and returns their folder.
func Links(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"mosquitto", "mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "mosquitto_ctrl", "mosquitto_passwd"} {
		if err := os.Symlink(Binary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// PlainWarning is what ctrl prints to standard error before it connects without TLS.
const PlainWarning = "Warning: without TLS whoever is on the way to the broker can read what is sent, passwords too.\n\n"
