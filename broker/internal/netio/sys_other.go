//go:build !unix

package netio

import "errors"

// Raw says that sockets are read and written without blocking. Here a RawConn cannot do that.
const Raw = false

// Read is not for here.
func Read(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

// Write is not for here.
func Write(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

// Shutdown is not for here.
func Shutdown(uintptr) {}

// CloseWrite is not for here.
func CloseWrite(uintptr) {}

// HungUp is not for here.
func HungUp(uintptr) bool { return false }
