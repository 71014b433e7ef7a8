//go:build unix && !linux

package broker

import "syscall"

const rawIO = true

func sysRead(fd uintptr, p []byte) (int, error)  { return syscall.Read(int(fd), p) }
func sysWrite(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }

// sysShutdown ends both directions of a socket, and wakes who waits for it. What was written is still delivered.
func sysShutdown(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }
