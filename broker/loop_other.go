//go:build !unix

package broker

import "errors"

// rawIO is off where a RawConn cannot read without blocking.
const rawIO = false

func (c *conn) loopRaw() error { return errors.ErrUnsupported }

func sysWrite(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func sysRead(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func sysShutdown(uintptr) {}

func sysCloseWrite(uintptr) {}

func (*conn) discard() {}

func sysHungUp(uintptr) bool { return false }
