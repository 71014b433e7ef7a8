package netio

import (
	"syscall"
	"unsafe"
)

// Raw says that sockets are read and written without blocking.
const Raw = true

// Read makes one attempt to read.
func Read(fd uintptr, p []byte) (int, error) {
	return rawRW(syscall.SYS_READ, fd, p)
}

// Write makes one attempt to write.
func Write(fd uintptr, p []byte) (int, error) {
	return rawRW(syscall.SYS_WRITE, fd, p)
}

func rawRW(call, fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sysAccept takes a connection from a listening socket; it does not block. from is where its address goes.
func sysAccept(l uintptr, from *syscall.RawSockaddrInet6) (fd int, err error) {
	size := uint32(unsafe.Sizeof(*from))
	n, _, errno := syscall.RawSyscall6(sysACCEPT4, l, uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(&size)),
		syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sysLocal asks at which address a socket is.
func sysLocal(fd int, at *syscall.RawSockaddrInet6) error {
	size := uint32(unsafe.Sizeof(*at))
	if _, _, errno := syscall.RawSyscall(sysGETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(at)), uintptr(unsafe.Pointer(&size))); errno != 0 {
		return errno
	}
	return nil
}

// sysNoDelay turns Nagle's algorithm off.
func sysNoDelay(fd int) {
	on := int32(1)
	_, _, _ = syscall.RawSyscall6(sysSETSOCKOPT, uintptr(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, uintptr(unsafe.Pointer(&on)), 4, 0)
}

// HungUp reports whether the other side of a socket has closed it, or its half, whatever is left to read.
func HungUp(fd uintptr) bool {
	const rdhup, errored, hup = 0x2000, 0x8, 0x10 // of poll(2)
	p := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: rdhup}
	var now syscall.Timespec
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno == 0 && p.revents&(rdhup|errored|hup) != 0
}

// sysDup returns a socket once more.
func sysDup(fd uintptr) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// sysClose closes a socket, which does not block: nothing lingers.
func sysClose(fd int) error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// sysEventFD returns a descriptor that becomes readable by sysRing.
func sysEventFD() (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// sysRing makes a descriptor of sysEventFD readable once more.
func sysRing(fd int) {
	one := uint64(1)
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
}

// sysEpollCtl changes what is waited for.
func sysEpollCtl(epfd, op, fd int, e *syscall.EpollEvent) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(e)), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// Shutdown ends both directions of a socket, and wakes who waits for it. What was written is still delivered.
func Shutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }

// CloseWrite ends the sending side of a socket. What was written is still delivered.
func CloseWrite(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) }
