package testenv_test

import (
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

// shell returns a command of a POSIX shell.
func shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	return exec.Command(testenv.Program(t, "sh", "dash"), "-c", script)
}

func TestProcessGivesLinesOfStandardError(t *testing.T) {
	t.Parallel()
	p := testenv.Start(t, shell(t, "echo one >&2; echo other; echo two >&2; echo three >&2; exit 4"))
	if got := p.Await("^t"); got != "two" {
		t.Errorf("Await: %q", got)
	}
	if first, second := p.Next("o"), p.Next("^t"); first != "one" || second != "two" {
		t.Errorf("Next: %q, %q", first, second)
	}
	if got := p.Status(); got != 4 {
		t.Errorf("status %d", got)
	}
	if got := p.Rest(); got != "three" {
		t.Errorf("Rest: %q", got)
	}
	if got := p.Since(2); !slices.Equal(got, []string{"three"}) || p.Mark() != 3 || p.Text() != "one\ntwo\nthree" {
		t.Errorf("%q, %d, %q", got, p.Mark(), p.Text())
	}
	if _, err := p.Find("other"); err == nil || !strings.Contains(err.Error(), "three") {
		t.Errorf("a line that is not there: %v", err)
	}
	if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("Wait: %v", err)
	}
}

func TestProcessThatIsTalkedTo(t *testing.T) {
	t.Parallel()
	p := testenv.Talk(t, shell(t, `read word; echo "got $word"; read word; echo "$word too" >&2`))
	for _, word := range []string{"a", "b"} {
		if _, err := io.WriteString(p.Input, word+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	p.Next("^got a$")
	p.Next("^b too$")
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func TestProcessIsStoppedOrKilled(t *testing.T) {
	t.Parallel()
	const waits = "trap 'echo %s >&2; exit 0' TERM; echo ready >&2; while :; do read -r _; done"
	for said, want := range map[string]string{"bye": "", "a panic": "met a panic"} {
		p := testenv.Talk(t, shell(t, strings.Replace(waits, "%s", said, 1)))
		p.Await("ready")
		_ = p.Input.Close()
		if err := p.Stop(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", said, err)
		}
		p.Await("^" + said + "$")
	}
	p := testenv.Start(t, shell(t, "echo ready >&2; exec sleep 600"))
	p.Await("ready")
	p.Kill()
	if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("after Kill: %v", err)
	}
	p.Kill() // again
}
