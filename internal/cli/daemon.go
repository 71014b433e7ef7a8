//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/uniomq/unio/internal/cli/exit"
)

// A Go program cannot fork, so a daemon is the same program, started again: with
// daemonEnv set, in a session of its own, and with a pipe, readyFile, on which it says that
// clients are served. Until then its log goes to standard error, and its exit status is
// that of the process that started it.
const (
	daemonEnv = "UNIO_DAEMON"
	readyFile = 3
)

// isDaemon reports whether this process is the one that startDaemon started.
func isDaemon() bool { return os.Getenv(daemonEnv) != "" }

// startDaemon starts the daemon and waits until it serves, or ends.
func startDaemon() error {
	program, err := os.Executable()
	if err != nil {
		return complain(exit.Failure, fmt.Errorf("find this program to start it as a daemon: %w", err))
	}
	ready, child, err := os.Pipe()
	if err != nil {
		return complain(exit.Failure, err)
	}
	defer ready.Close()
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Args[0] = os.Args[0] // syslog has the name that the program was started by
	cmd.Env = append(os.Environ(), daemonEnv+"=1")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{child}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = errors.Join(cmd.Start(), child.Close())
	if err != nil {
		return complain(exit.Failure, fmt.Errorf("start the daemon: %w", err))
	}
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return cmd.Process.Release()
	}
	_ = cmd.Wait() // the status says it
	return exit.With(max(cmd.ProcessState.ExitCode(), exit.Failure), exit.ErrReported)
}

// detachDaemon tells the process that started this one that clients are served, and
// lets go of its terminal.
func detachDaemon() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for _, fd := range []int{syscall.Stdout, syscall.Stderr} {
		if err := duplicate(int(null.Fd()), fd); err != nil {
			return err
		}
	}
	ready := os.NewFile(readyFile, "ready")
	_, err = ready.Write([]byte{1})
	return errors.Join(err, ready.Close())
}
