package broker

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// SocketListener returns a listener for ServeListener that takes the clients of l, bare sockets, past Go's poller: what would be
// registered there would be taken out again behind CONNECT. noDelay says whether Nagle's algorithm is to be off for
// a new connection; TCP keep-alive is as l's socket has it. On other systems it is l, with what Go decides of both.
func SocketListener(l *net.TCPListener, noDelay func() bool) (net.Listener, error) {
	f, err := l.File() // non-blocking, and in Go's poller
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s := &socketListener{TCPListener: l, file: f, raw: raw, noDelay: noDelay}
	s.local, _ = l.Addr().(*net.TCPAddr)
	return s, nil
}

type socketListener struct {
	*net.TCPListener
	file    *os.File
	raw     syscall.RawConn
	local   *net.TCPAddr
	noDelay func() bool
}

// Close ends Accept.
func (s *socketListener) Close() error {
	return errors.Join(s.TCPListener.Close(), s.file.Close())
}

// Accept returns a connection that only ServeListener can use. Its system calls go past Go's scheduler, which would else wake a thread to watch
// over them.
func (s *socketListener) Accept() (net.Conn, error) {
	var fd int
	var from syscall.RawSockaddrInet6 // has room for the address of IPv4
	var err error
	closed := s.raw.Read(func(l uintptr) bool {
		for {
			fd, err = sysAccept(l, &from)
			if !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.ECONNABORTED) {
				return !errors.Is(err, syscall.EAGAIN)
			}
		}
	})
	if closed != nil {
		return nil, &net.OpError{Op: "accept", Net: s.local.Network(), Addr: s.local, Err: net.ErrClosed}
	}
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: s.local.Network(), Addr: s.local, Err: os.NewSyscallError("accept4", err)}
	}
	if s.noDelay() {
		sysNoDelay(fd)
	}
	local := s.local
	if at := (syscall.RawSockaddrInet6{}); local.IP.IsUnspecified() && sysLocal(fd, &at) == nil {
		local = addrOf(&at)
	}
	return &eventConn{fd: int32(fd), client: &Client{RemoteAddr: addrOf(&from), LocalAddr: local}}, nil
}

// addrOf returns the address in from, which may be one of IPv4.
func addrOf(from *syscall.RawSockaddrInet6) *net.TCPAddr {
	port := func(p uint16) int { return int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, p))) }
	if from.Family == syscall.AF_INET {
		v4 := (*syscall.RawSockaddrInet4)(unsafe.Pointer(from))
		return &net.TCPAddr{IP: net.IP(slices.Clone(v4.Addr[:])), Port: port(v4.Port)}
	}
	a := &net.TCPAddr{IP: net.IP(slices.Clone(from.Addr[:])), Port: port(from.Port)}
	if from.Scope_id != 0 {
		a.Zone = strconv.Itoa(int(from.Scope_id))
		if i, err := net.InterfaceByIndex(int(from.Scope_id)); err == nil {
			a.Zone = i.Name
		}
	}
	return a
}

// clientOf returns the Client that a connection of a socketListener has already.
func clientOf(nc net.Conn) *Client {
	if ec, ok := nc.(*eventConn); ok {
		return ec.client
	}
	return nil
}

// claim makes the socket of a new connection of a socketListener one of the engine's; adopt does so for others, later. Without a loop for it,
// it is read and written as any net.Conn.
func (c *conn) claim() {
	ec, ok := c.nc.(*eventConn)
	if !ok {
		return
	}
	loop := c.b.engine.pick()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ec.loop = loop; loop != nil && !c.closed { // Shutdown may have closed it
		c.event, c.raw = ec, (*eventRaw)(ec)
	}
}

// await has the engine wait for the first bytes of a connection, if it has it already.
func (c *conn) await() bool {
	if c.event == nil {
		return false
	}
	c.lastSeen.Store(time.Now().UnixNano())
	c.keepAlive = c.b.options.Load().ConnectTimeout
	c.event.waiting = true
	c.b.wheel.add(c, c.keepAlive)
	if c.event.loop.await(c) != nil {
		c.event.waiting = false // Read can wait as well
		return false
	}
	return true
}

// unwatch has the engine forget a connection that nobody else owns.
func (c *conn) unwatch() {
	if c.event != nil {
		c.event.loop.remove(c)
	}
}
