//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// owner returns whose a file is, or a process's folder in /proc.
func owner(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

func TestRootIsGivenUpAndItsFilesWithIt(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "unio") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	log, pid, socket := filepath.Join(dir, "log"), filepath.Join(dir, "pid"), filepath.Join(dir, "socket")
	p := run(t, "-c", file(t, "listener 0 "+socket, "log_dest file "+log, "log_dest stderr", "pid_file "+pid))
	p.waitFor("running$")
	want := os.Geteuid()
	process := owner(t, fmt.Sprintf("/proc/%d", p.cmd.Process.Pid))
	switch {
	case want == 0 && process == 0:
		t.Error("it still is root")
	case want != 0 && process != want:
		t.Errorf("it is user %d, started by %d", process, want)
	}
	for _, path := range []string{log, pid, socket} {
		if got := owner(t, path); got != process {
			t.Errorf("%s is user %d's, the process user %d's", filepath.Base(path), got, process)
		}
	}
	p.stop()
}
