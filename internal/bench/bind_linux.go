package bench

import "syscall"

// bindLate makes bind(2) leave the choice of the port to connect(2), which may use one again that is in use towards another
// peer. Otherwise a local address is good for as many connections as there are ephemeral ports on it (ip(7), IP_BIND_ADDRESS_NO_PORT).
func bindLate(_, _ string, c syscall.RawConn) error {
	const ipBindAddressNoPort = 24
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1) // without it, it works too
	})
}
