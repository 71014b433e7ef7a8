package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// deadline bounds what a test waits for.
const deadline = 20 * time.Second

// lifetime bounds how long a process of a test runs, whatever becomes of the test.
const lifetime = time.Minute

// binary is the path of the built command.
var binary string

// TestMain builds the command once for the tests that run it as a process.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "unio")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "unio")
	build := exec.Command("go", "build", "-o", binary, "-ldflags", "-X main.version=1.2.3-test", "../../cmd/unio")
	build.Stderr = os.Stderr
	status := 1
	// The options files of whoever runs the tests are none of theirs.
	if os.Setenv("XDG_CONFIG_HOME", dir) == nil && build.Run() == nil {
		status = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// process is a running command.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // standard error is at its end

	mu     sync.Mutex
	grown  *sync.Cond
	stderr []string // lines
	ended  bool
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
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	p.grown = sync.NewCond(&p.mu)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.collect(out)
	timeout := time.AfterFunc(lifetime, func() { _ = p.cmd.Process.Kill() })
	t.Cleanup(func() {
		timeout.Stop()
		_ = p.cmd.Process.Kill()
		<-p.done
		_ = p.cmd.Wait()
	})
	return p
}

func (p *process) collect(r io.Reader) {
	defer close(p.done)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.mu.Lock()
		p.stderr = append(p.stderr, lines.Text())
		p.grown.Broadcast()
		p.mu.Unlock()
	}
	p.mu.Lock()
	p.ended = true
	p.grown.Broadcast()
	p.mu.Unlock()
}

// waitFor waits for a line of standard error that matches, and returns it.
func (p *process) waitFor(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	for seen := 0; ; p.grown.Wait() {
		for ; seen < len(p.stderr); seen++ {
			if re.MatchString(p.stderr[seen]) {
				return p.stderr[seen]
			}
		}
		if p.ended {
			p.t.Fatalf("no line %q in:\n%s", pattern, strings.Join(p.stderr, "\n"))
		}
	}
}

// status waits for the end of the process and returns its exit status.
func (p *process) status() int {
	p.t.Helper()
	<-p.done
	err := p.cmd.Wait()
	if p.cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// text returns standard error.
func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.stderr, "\n")
}

// signal sends a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
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
