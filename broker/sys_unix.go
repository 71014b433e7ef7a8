//go:build unix && !linux

package broker

import (
	"errors"
	"syscall"
)

const rawIO = true

func sysRead(fd uintptr, p []byte) (int, error)  { return syscall.Read(int(fd), p) }
func sysWrite(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }

// sysHungUp reports whether the other side of a socket has closed it, or its half, and nothing is left to read.
func sysHungUp(fd uintptr) bool {
	var p [1]byte
	n, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK)
	return err == nil && n == 0 || errors.Is(err, syscall.ECONNRESET)
}

// sysShutdown ends both directions of a socket, and wakes who waits for it. What was written is still delivered.
func sysShutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }

// sysCloseWrite ends the sending side of a socket. What was written is still delivered.
func sysCloseWrite(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) }
