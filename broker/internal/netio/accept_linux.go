package netio

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"unsafe"
)

// Listen returns a listener that takes the clients of l as [Socket]s, past Go's poller. noDelay says
// whether Nagle's algorithm is to be off for a new one, and owner makes its first owner.
func Listen(l *net.TCPListener, noDelay func() bool, owner func(local, remote net.Addr) Owner) (net.Listener, error) {
	f, err := l.File() // non-blocking, and in Go's poller
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s := &socketListener{TCPListener: l, file: f, raw: raw, noDelay: noDelay, owner: owner}
	s.local, _ = l.Addr().(*net.TCPAddr)
	return s, nil
}

type socketListener struct {
	*net.TCPListener
	file    *os.File
	raw     syscall.RawConn
	local   *net.TCPAddr
	noDelay func() bool
	owner   func(local, remote net.Addr) Owner
}

// Close ends Accept.
func (s *socketListener) Close() error {
	return errors.Join(s.TCPListener.Close(), s.file.Close())
}

// Accept returns a Socket. Its system calls go past Go's scheduler, which would else wake a thread to watch
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
	return &Socket{fd: int32(fd), owner: s.owner(local, addrOf(&from))}, nil
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
