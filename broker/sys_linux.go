package broker

import (
	"syscall"
	"unsafe"
)

// rawIO says that connections with a descriptor are read and written without
// blocking. RawSyscall spares the scheduler's bookkeeping, which for calls that never
// block costs more than a third of the whole when traffic is paced.
const rawIO = true

func sysRead(fd uintptr, p []byte) (int, error) {
	return rawRW(syscall.SYS_READ, fd, p)
}

func sysWrite(fd uintptr, p []byte) (int, error) {
	return rawRW(syscall.SYS_WRITE, fd, p)
}

func rawRW(call, fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sysShutdown ends both directions of a socket, and wakes who waits for it. What was written is still delivered.
func sysShutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }
