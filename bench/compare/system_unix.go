//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// raiseFileLimit lets the brokers and the load have as many connections as the system allows this user.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil { // set by us, it is inherited
		return fmt.Errorf("limit of open files: %w", err)
	}
	return nil
}

// ownGroup has a program and its children end together.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// pause halts a process.
func pause(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

// proceed lets a process that was halted go on.
func proceed(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
