package testenv

import (
	"syscall"
	"testing"
	"time"
)

// CPUTime returns the CPU time that the process has used so far, in user and in system mode.
func CPUTime(t testing.TB) time.Duration {
	t.Helper()
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		t.Fatal(err)
	}
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(self, &created, &exited, &kernel, &user); err != nil {
		t.Fatal(err)
	}
	hundredNanoseconds := func(f syscall.Filetime) int64 { return int64(f.HighDateTime)<<32 | int64(f.LowDateTime) }
	return time.Duration(100 * (hundredNanoseconds(kernel) + hundredNanoseconds(user)))
}
