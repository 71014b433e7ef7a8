package bench

import (
	"syscall"
	"time"
)

// sleep waits in the kernel. The runtime's own timers are no better than a millisecond when all goroutines sleep, because that is
// what epoll_wait(2) can; the pacer would send in bursts, and every latency would have the delay in it.
func sleep(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil) // interrupted: the caller looks at the clock
}
