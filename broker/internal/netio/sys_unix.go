//go:build unix && !linux

package netio

import (
	"errors"
	"syscall"
)

// Raw says that sockets are read and written without blocking.
const Raw = true

// Read makes one attempt to read.
func Read(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }

// Write makes one attempt to write.
func Write(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }

// HungUp reports whether the other side of a socket has closed it, or its half, and nothing is left to read.
func HungUp(fd uintptr) bool {
	var p [1]byte
	n, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK)
	return err == nil && n == 0 || errors.Is(err, syscall.ECONNRESET)
}

// Shutdown ends both directions of a socket, and wakes who waits for it. What was written is still delivered.
func Shutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }

// CloseWrite ends the sending side of a socket. What was written is still delivered.
func CloseWrite(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_WR) }
