//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
)

func TestStartedByRootItFollowsNoLinkInSomebodysFolder(t *testing.T) {
	t.Parallel()
	uid, gid := nobody(t)
	for option, status := range map[string]int{
		"pid_file": exit.Failure, "log_dest file": exit.Invalid, "audit_log": exit.Invalid, "--tls-keylog": exit.Failure,
	} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			dir, target := openFolder(t), filepath.Join(openFolder(t), "target")
			rewrite(t, target, "precious")
			link := filepath.Join(dir, "link")
			if err := os.Symlink(target, link); err != nil {
				t.Fatal(err)
			}
			chown(t, dir, uid, gid)
			chown(t, link, uid, gid)
			lines := []string{"user nobody", fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t)), "log_dest stderr"}
			var args []string
			if strings.HasPrefix(option, "--") {
				args = append(args, option, link)
			} else {
				lines = append(lines, option+" "+link)
			}
			p := clitest.Run(t, append(args, "-c", clitest.File(t, lines...))...)
			if !isRoot() { // which follows what others may not follow either
				p.Await("running$")
				p.Terminate()
				return
			}
			if got := p.Status(); got != status || !strings.Contains(p.Text(), link+" is a link to "+target) {
				t.Errorf("status %d, want %d, and\n%s", got, status, p.Text())
			}
			if s := statOf(t, target); s.Uid != 0 || contentOf(t, target) != "precious\n" {
				t.Errorf("the file of root has %q and is %d's", contentOf(t, target), s.Uid)
			}
		})
	}
}

// As a container's image has it, whose log is to go to standard output.
func TestALogThatIsALinkToStandardOutputOutlivesRoot(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	log := filepath.Join(dir, "unio.log")
	if err := os.Symlink("/dev/stdout", log); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "unio.conf")
	write(t, conf, fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t)), "user nobody", "log_dest file "+log, "audit_log "+log)
	// Its standard output is the pipe that is read here.
	p := clitest.Launch(t, exec.Command("sh", "-c", `exec 3>&2; exec 2>/dev/null; exec "$0" -c "$1" >&3`, clitest.Binary, conf))
	p.Await("running$")
	p.Signal(syscall.SIGHUP)
	p.Await("Reloading config")
	p.Await(`"event":"reload"`)
	p.Terminate()
	if strings.Contains(p.Text(), "Error") || strings.Contains(p.Text(), "Warning: open") {
		t.Errorf("got\n%s", p.Text())
	}
}

func TestTheFileOfTheProcessIDIsEmptiedWhereItCannotBeRemoved(t *testing.T) {
	t.Parallel()
	uid, _ := nobody(t)
	dir := openFolder(t)
	pid := filepath.Join(dir, "pid")
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t)), "user nobody", "pid_file "+pid))
	p.Await("running$")
	if got := contentOf(t, pid); got != fmt.Sprintln(p.Cmd.Process.Pid) {
		t.Errorf("the file has %q", got)
	}
	if isRoot() && int(statOf(t, pid).Uid) != uid {
		t.Errorf("the file is %d's", statOf(t, pid).Uid)
	}
	chmod(t, dir, 0o555)
	p.Terminate()
	if got := contentOf(t, pid); got != "" {
		t.Errorf("the file has %q", got)
	}
}

func TestAStartThatFailsLeavesNoLogOfRoot(t *testing.T) {
	t.Parallel()
	uid, _ := nobody(t)
	dir := openFolder(t)
	log, audit := filepath.Join(dir, "log"), filepath.Join(dir, "audit")
	p := clitest.Run(t, "-c", clitest.File(t, "user nobody", "listener 0 "+filepath.Join(dir, "socket"), "log_dest file "+log, "audit_log "+audit, "pid_file /nowhere/pid"))
	if status := p.Status(); status != exit.Failure {
		t.Errorf("status %d\n%s", status, p.Text())
	}
	for _, path := range []string{log, audit} {
		if s := statOf(t, path); isRoot() && int(s.Uid) != uid {
			t.Errorf("%s is %d's", path, s.Uid)
		}
	}
}

func TestASecondBrokerThatCannotStartLeavesTheProcessIDOfTheFirst(t *testing.T) {
	t.Parallel()
	pid := filepath.Join(t.TempDir(), "pid")
	conf := clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t)), "user root", "pid_file "+pid)
	p := clitest.Run(t, "-c", conf)
	p.Await("running$")
	if status := clitest.Run(t, "-c", conf).Status(); status != exit.Failure {
		t.Errorf("status %d", status)
	}
	if got := contentOf(t, pid); got != fmt.Sprintln(p.Cmd.Process.Pid) {
		t.Errorf("the file has %q", got)
	}
	p.Terminate()
}
