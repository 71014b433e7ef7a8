package listening

import (
	"net"
	"syscall"
)

// takesIPv4 reports whether a socket for all IPv6 addresses takes connections to those of IPv4 as well: BindIPv6Only= of systemd decides.
func takesIPv4(s net.Listener) bool {
	tcp, ok := s.(*net.TCPListener)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	only := 1
	err = raw.Control(func(fd uintptr) {
		if n, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY); err == nil {
			only = n
		}
	})
	return err == nil && only == 0
}
