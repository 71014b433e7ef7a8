package testenv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience bounds each wait for a process. What works takes a small part of it.
const Patience = time.Minute

// longestLine is the longest line that is read of a process, in bytes.
const longestLine = 16 << 20

// Process is a program that runs, and whose output is read line by line. Its methods may be called
// by several goroutines, but for Next and Rest, which have one place in the output between them.
type Process struct {
	Cmd   *exec.Cmd      // started; Process waits for it
	Input io.WriteCloser // standard input, of Talk alone

	t     testing.TB // nil: of Launch
	ended chan struct{}
	err   error // of the program, when ended is closed
	next  int   // the line where Next goes on

	mu    sync.Mutex
	lines []string
	over  bool          // nothing more is read
	grown chan struct{} // closed, and replaced, by each line and at the end
}

// Start starts a program. Its standard error is read, its standard output goes where cmd says. It is
// killed at the end of the test, if it still runs.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := Launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(p.Kill)
	return p
}

// Talk is Start of a program whose standard output and error are read together, and whose standard
// input is Input.
func Talk(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	p, err := launch(cmd, out)
	if err != nil {
		t.Fatal(err)
	}
	p.t, p.Input = t, input
	t.Cleanup(p.Kill)
	return p
}

// Launch is Start without a test, for TestMain: whoever calls it ends the program. Of the methods
// those that return an error may be called, and Kill and Text.
func Launch(cmd *exec.Cmd) (*Process, error) {
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	return launch(cmd, out)
}

func launch(cmd *exec.Cmd, output io.Reader) (*Process, error) {
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &Process{Cmd: cmd, ended: make(chan struct{}), grown: make(chan struct{})}
	go p.read(output)
	return p, nil
}

// read keeps the output. It ends with the program.
func (p *Process) read(output io.Reader) {
	defer close(p.ended)
	s := bufio.NewScanner(output)
	s.Buffer(nil, longestLine)
	for s.Scan() {
		p.grow(s.Text())
	}
	p.grow()
	p.err = p.Cmd.Wait()
}

// grow adds a line, or the end of the output.
func (p *Process) grow(line ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines, p.over = append(p.lines, line...), len(line) == 0
	close(p.grown)
	p.grown = make(chan struct{})
}

// find waits for a line that matches, from a number on, and returns it with its number.
func (p *Process) find(from int, pattern string) (line string, number int, err error) {
	re := regexp.MustCompile(pattern)
	late := time.NewTimer(Patience)
	defer late.Stop()
	for number = from; ; {
		p.mu.Lock()
		lines, over, grown := p.lines, p.over, p.grown
		p.mu.Unlock()
		for ; number < len(lines); number++ {
			if re.MatchString(lines[number]) {
				return lines[number], number, nil
			}
		}
		if over {
			return "", 0, fmt.Errorf("%s ended without a line %.60q; it said:\n%s", p.name(), pattern, strings.Join(lines[from:], "\n"))
		}
		select {
		case <-grown:
		case <-late.C:
			return "", 0, fmt.Errorf("no line %.60q from %s; it said:\n%s", pattern, p.name(), strings.Join(lines[from:], "\n"))
		}
	}
}

func (p *Process) name() string { return filepath.Base(p.Cmd.Path) }

// Find waits for a line that matches a regular expression, the first one or a later one, and returns
// it.
func (p *Process) Find(pattern string) (string, error) {
	line, _, err := p.find(0, pattern)
	return line, err
}

// Await is Find that fails the test.
func (p *Process) Await(pattern string) string {
	p.t.Helper()
	return p.AwaitFrom(0, pattern)
}

// AwaitFrom is Await for a line after a mark.
func (p *Process) AwaitFrom(mark int, pattern string) string {
	p.t.Helper()
	line, _, err := p.find(mark, pattern)
	if err != nil {
		p.t.Fatal(err)
	}
	return line
}

// Next waits for the next line that matches, after the one that it returned last. Lines between them
// are passed over.
func (p *Process) Next(pattern string) string {
	p.t.Helper()
	line, number, err := p.find(p.next, pattern)
	if err != nil {
		p.t.Fatal(err)
	}
	p.next = number + 1
	return line
}

// Rest returns what the program has said after the line that Next returned last.
func (p *Process) Rest() string { return strings.Join(p.Since(p.next), "\n") }

// Mark is where the output ends now.
func (p *Process) Mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// Since returns the output after a mark.
func (p *Process) Since(mark int) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines[mark:]...)
}

// Text returns all the output.
func (p *Process) Text() string { return strings.Join(p.Since(0), "\n") }

// Ended is closed when the program has ended and its output is read.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the program's end, and returns an error if that is not with status 0.
func (p *Process) Wait() error {
	select {
	case <-p.ended:
	case <-time.After(Patience):
		p.Kill()
		return fmt.Errorf("%s does not end; it said:\n%s", p.name(), p.Text())
	}
	if p.err != nil {
		return fmt.Errorf("%s ends with %w; it said:\n%s", p.name(), p.err, p.Text())
	}
	return nil
}

// Status waits for the program's end and returns its status, -1 if a signal has ended it.
func (p *Process) Status() int {
	p.t.Helper()
	if err := p.Wait(); p.Cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Stop ends the program as an operator does, and returns an error if it does not end well.
func (p *Process) Stop() error {
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.Kill()
		return errors.Join(fmt.Errorf("%s is gone: %w", p.name(), err), p.Wait())
	}
	if err := p.Wait(); err != nil {
		return err
	}
	for _, fault := range []string{"panic", "DATA RACE"} {
		if text := p.Text(); strings.Contains(text, fault) {
			return fmt.Errorf("%s met a %s:\n%s", p.name(), fault, text)
		}
	}
	return nil
}

// Kill ends the program at once, as a crash would, and waits for its end.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // it may have ended
	<-p.ended
}

// Mosquitto starts Debian's broker with the lines of a configuration, and waits until it serves. Root
// stays root, so that it can read what tests write.
func Mosquitto(t testing.TB, program string, lines ...string) *Process {
	t.Helper()
	if os.Geteuid() == 0 {
		lines = append([]string{"user root"}, lines...)
	}
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Start(t, exec.Command(program, "-v", "-c", conf))
	p.Await(" running$")
	return p
}

// Build builds Unio's command in a folder and returns its path. Flags are those of go build.
func Build(folder string, flags ...string) (path string, err error) {
	path = filepath.Join(folder, "unio")
	args := append([]string{"build", "-o", path}, flags...)
	out, err := exec.Command("go", append(args, "github.com/uniomq/unio/cmd/unio")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build cmd/unio: %w\n%s", err, out)
	}
	return path, nil
}
