//go:build unix

package testenv

import (
	"syscall"
	"testing"
	"time"
)

// CPUTime returns the CPU time that the process has used so far, in user and in system mode.
func CPUTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
