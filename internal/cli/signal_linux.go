package cli

import (
	"syscall"
	"unsafe"
)

// rotateSignal is SIGRTMIN+1. Mosquitto has SIGRTMIN, which a Go program cannot receive:
// it is one that musl uses itself, so Go leaves it alone.
const rotateSignal = syscall.Signal(35)

// sigRTMin is SIGRTMIN of glibc, which the shell's kill -RTMIN sends.
const sigRTMin = 34

// ignoreRotate makes SIGRTMIN do nothing. By default it would end the process, and
// scripts that rotate Mosquitto's log send it. Failing is no harm but that.
func ignoreRotate() {
	// The kernel's struct sigaction where it begins with the handler, which is on all
	// systems but MIPS; 1 is SIG_IGN, and the rest, which has no meaning then, is zero.
	action := [8]uintptr{1}
	const maskBytes = 8
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, sigRTMin,
		uintptr(unsafe.Pointer(&action)), 0, maskBytes, 0, 0)
}
