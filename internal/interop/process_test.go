package interop

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
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

// process is a client's process.
type process struct {
	*testenv.Process
	t *testing.T
}

// start runs a program whose standard output and error are read together; the test's end kills what
// still runs.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return &process{testenv.Talk(t, exec.Command(name, args...)), t}
}

// await returns the next line that begins with prefix, without it; other lines are passed over.
func (p *process) await(prefix string) string {
	p.t.Helper()
	return strings.TrimPrefix(p.Next("^"+regexp.QuoteMeta(prefix)), prefix)
}

// wait checks that the program ends with status 0.
func (p *process) wait() {
	p.t.Helper()
	if err := p.Wait(); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a program to its end with the given input.
func run(t *testing.T, input, name string, args ...string) {
	t.Helper()
	p := start(t, name, args...)
	if _, err := io.WriteString(p.Input, input); err != nil {
		t.Fatalf("write to %s: %v", name, err)
	}
	if err := p.Input.Close(); err != nil {
		t.Fatal(err)
	}
	p.wait()
}
