package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// Dialer opens connections to a server.
type Dialer struct {
	Network string // "tcp" or "unix"; "" is "tcp"
	Address string // HOST:PORT, or the path of the socket
	// Bind is the local host name or address to connect from; "" lets the system choose.
	Bind string
	TLS  *tls.Config // nil: none
	// Nagle leaves TCP's delay of small packets on; they are written in batches anyway.
	Nagle   bool
	Timeout time.Duration // for all of it; 0: DefaultTimeout
}

// TLSError is a failed TLS handshake.
type TLSError struct{ Err error }

// Error returns the cause.
func (e *TLSError) Error() string { return "TLS: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *TLSError) Unwrap() error { return e.Err }

// Dial connects and shakes hands for TLS. Its errors are those of net, and *TLSError.
func (d *Dialer) Dial(ctx context.Context) (net.Conn, error) {
	timeout := d.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	network := d.Network
	if network == "" {
		network = "tcp"
	}
	var dialer net.Dialer
	if d.Bind != "" {
		local, err := net.DefaultResolver.LookupIPAddr(ctx, d.Bind)
		if err != nil {
			return nil, fmt.Errorf("local address: %w", err)
		}
		dialer.LocalAddr = &net.TCPAddr{IP: local[0].IP, Zone: local[0].Zone}
	}
	conn, err := dialer.DialContext(ctx, network, d.Address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && d.Nagle {
		_ = tcp.SetNoDelay(false) // a matter of speed only
	}
	if d.TLS == nil {
		return conn, nil
	}
	secure := tls.Client(conn, d.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &TLSError{err}
	}
	return secure, nil
}
