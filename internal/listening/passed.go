package listening

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
)

// passed are the sockets that a service manager has opened before the start, until listeners have taken them.
type passed struct {
	left []net.Listener
	both []int // ports of which a socket that was taken takes IPv4 as well as IPv6
}

// tcp takes the socket for an address and a port. there says that none needs to be opened; it comes with nil where the socket for IPv6 that
// was or will be taken does for IPv4, too.
func (p *passed) tcp(a address, port int) (s net.Listener, there bool) {
	ip := net.ParseIP(a.host)
	for i, s := range p.left {
		at := tcpAddr(s)
		if at == nil || at.Port != port {
			continue
		}
		if at.IP.Equal(ip) {
			p.left = slices.Delete(p.left, i, i+1)
			return s, true
		}
		if ip.Equal(net.IPv4zero) && at.IP.Equal(net.IPv6unspecified) && takesIPv4(s) {
			p.left = slices.Delete(p.left, i, i+1)
			p.both = append(p.both, port)
			return s, true
		}
	}
	return nil, ip.Equal(net.IPv6unspecified) && slices.Contains(p.both, port)
}

// tcpAddr is where a socket of TCP listens; nil: it is another one.
func tcpAddr(s net.Listener) *net.TCPAddr {
	if s == nil { // a datagram socket, say
		return nil
	}
	at, _ := s.Addr().(*net.TCPAddr)
	return at
}

// unix takes the socket at a path; nil: there is none.
func (p *passed) unix(path string) net.Listener {
	for i, s := range p.left {
		if s == nil {
			continue
		}
		if at, ok := s.Addr().(*net.UnixAddr); ok && filepath.Clean(at.Name) == filepath.Clean(path) {
			p.left = slices.Delete(p.left, i, i+1)
			return s
		}
	}
	return nil
}

// check finds sockets that are left: clients could connect there, and would wait for ever.
func (p *passed) check() error {
	var at []string
	for _, s := range p.left {
		if s == nil {
			return errors.New("the service manager passes a socket that takes no connections; want ListenStream= alone")
		}
		at = append(at, s.Addr().String())
	}
	if len(at) == 0 {
		return nil
	}
	return fmt.Errorf("the service manager passes a socket at %s: expected a listener in the configuration with the same address and port, or path",
		strings.Join(at, " and at "))
}

// close closes what was not taken.
func (p *passed) close() {
	for _, s := range p.left {
		if s != nil {
			_ = s.Close()
		}
	}
}
