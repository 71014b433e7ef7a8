package tlsconn

import (
	"crypto/tls"
	"net"
)

// Listener gives connections that speak TLS as a server. Accept does no handshake: that is for the connection's own goroutine.
type Listener struct {
	net.Listener
	config *tls.Config
}

// NewListener wraps the connections of inner. The configuration must have a certificate or a way to get one, and must not be changed.
func NewListener(inner net.Listener, config *tls.Config) *Listener { return &Listener{inner, config} }

// Accept returns the next connection, a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Server(nc, l.config), nil
}
