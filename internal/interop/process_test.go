package interop

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// runID keeps the names of one run apart from those of another against the same broker.
var (
	runID  = fmt.Sprintf("%06x", rand.Uint32N(1<<24))
	serial atomic.Uint32
)

// unique returns a name for a topic or a client id that nothing else uses.
func unique(kind string) string {
	return fmt.Sprintf("%s-%s-%d", kind, runID, serial.Add(1))
}

// process is a client's process whose output is read line by line.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	lines chan string // closed at the end of the output
	input io.WriteCloser
}

// start runs a program whose standard output and error are read together; the test's end kills what still runs.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(name, args...), lines: make(chan string, 1024)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(p.kill)
	return p
}

// await returns the next line that begins with prefix, without it; other lines are passed over.
func (p *process) await(prefix string) string {
	p.t.Helper()
	deadline := time.After(patience)
	var seen []string
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("%s ended without a line %q; it said:\n%s", p.name, prefix, strings.Join(seen, "\n"))
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
			seen = append(seen, line)
		case <-deadline:
			p.t.Fatalf("no line %q from %s; it said:\n%s", prefix, p.name, strings.Join(seen, "\n"))
		}
	}
}

// wait reads the output to its end and checks that the program ends with status 0.
func (p *process) wait() {
	p.t.Helper()
	var seen []string
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				if err := p.cmd.Wait(); err != nil {
					p.t.Fatalf("%s: %v; it said:\n%s", p.name, err, strings.Join(seen, "\n"))
				}
				return
			}
			seen = append(seen, line)
		case <-deadline:
			p.t.Fatalf("%s does not end; it said:\n%s", p.name, strings.Join(seen, "\n"))
		}
	}
}

// kill ends the process at once, as a crash would, and waits for its end.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Logf("kill %s: %v", p.name, err)
	}
	for range p.lines { // to its end, so that Wait may close the pipe
	}
	_ = p.cmd.Wait() // says that it was killed
}

// run runs a program to its end with the given input.
func run(t *testing.T, input, name string, args ...string) {
	t.Helper()
	p := start(t, name, args...)
	if _, err := io.WriteString(p.input, input); err != nil {
		t.Fatalf("write to %s: %v", name, err)
	}
	if err := p.input.Close(); err != nil {
		t.Fatal(err)
	}
	p.wait()
}
