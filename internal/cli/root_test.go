//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

func TestRootIsGivenUpAndItsFilesWithIt(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "unio") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	log, pid, socket := filepath.Join(dir, "log"), filepath.Join(dir, "pid"), filepath.Join(dir, "socket")
	p := clitest.Run(t, "-c", clitest.File(t, "listener 0 "+socket, "log_dest file "+log, "log_dest stderr", "pid_file "+pid))
	p.Await("running$")
	want := os.Geteuid()
	process := clitest.Owner(t, fmt.Sprintf("/proc/%d", p.Cmd.Process.Pid))
	switch {
	case want == 0 && process == 0:
		t.Error("it still is root")
	case want != 0 && process != want:
		t.Errorf("it is user %d, started by %d", process, want)
	}
	for _, path := range []string{log, pid, socket} {
		if got := clitest.Owner(t, path); got != process {
			t.Errorf("%s is user %d's, the process user %d's", filepath.Base(path), got, process)
		}
	}
	p.Terminate()
}

// TestRootGivesAwayTheFilesOfDynamicSecurityThatItMade has a request write the file, too, as the user that the process then is.
func TestRootGivesAwayTheFilesOfDynamicSecurityThatItMade(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "unio") // who is not root can get through to it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // whoever the process is, it must be able to write
		t.Fatal(err)
	}
	path, port := filepath.Join(dir, "dynsec.json"), testenv.FreePort(t)
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "plugin mosquitto_dynamic_security", "plugin_opt_config_file "+path))
	p.Await("running$")
	process := clitest.Owner(t, fmt.Sprintf("/proc/%d", p.Cmd.Process.Pid))
	for _, made := range []string{path, path + ".pw"} {
		if got := clitest.Owner(t, made); got != process {
			t.Errorf("%s is user %d's, the process user %d's", made, got, process)
		}
	}
	passwords, err := os.ReadFile(path + ".pw")
	if err != nil {
		t.Fatal(err)
	}
	admin := strings.Fields(string(passwords))
	clitest.ExpectRun(t, 0, "", clitest.PlainWarning, "ctrl", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-u", admin[0], "-P", admin[1], "dynsec", "createRole", "r")
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), `"r"`) {
		t.Errorf("the file was not written: %v", err)
	}
	if got := clitest.Owner(t, path); got != process {
		t.Errorf("the file that was written is user %d's", got)
	}
}
