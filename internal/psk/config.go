package psk

import (
	"errors"
	"io"
	"net"
	"unicode/utf8"
)

// Limits of names and keys, in bytes. RFC 4279, 5.3 asks for identities of 128 bytes and keys of 64 at least; OpenSSL has the same
// limits as here, or lower ones.
const (
	MaxIdentity = 256
	MaxKey      = 512
	MaxHint     = 128
)

// ServerConfig is what the server's end of connections needs. It may be shared by any number of connections.
type ServerConfig struct {
	// Hint is the identity hint that clients get; empty: none.
	Hint string
	// Lookup returns the key of an identity, of 1 to MaxKey bytes. It is called from many goroutines, and may wait. What it does should take the same
	// time whether it finds a key or not. It sees only valid UTF-8 without NUL, of 1 to MaxIdentity bytes.
	Lookup func(identity string) (key []byte, ok bool)
	// Suites are allowed, the most preferred first. None: all.
	Suites []Suite
	// KeyLog gets a line per connection in the NSS key log format, by one Write each, from many goroutines. Whoever
	// reads it can decrypt the connections. nil: none.
	KeyLog io.Writer
}

// Check says what is wrong with the config. A handshake fails with a wrong one.
func (c *ServerConfig) Check() error {
	_, known := choose(c.Suites)
	switch {
	case c.Lookup == nil:
		return errors.New("tls-psk: expected a Lookup")
	case len(c.Hint) > MaxHint:
		return errors.New("tls-psk: expected a hint of at most 128 bytes")
	case !known:
		return errors.New("tls-psk: expected suites of this package")
	}
	return nil
}

// ClientConfig is what the client's end of a connection needs.
type ClientConfig struct {
	// Identity is UTF-8 without NUL, of 1 to MaxIdentity bytes.
	Identity string
	// Key has 1 to MaxKey bytes.
	Key []byte
	// Suites are offered, the most preferred first. None: all.
	Suites []Suite
	// Protocols are offered by ALPN. None: ALPN is not used. A server may pass over it.
	Protocols []string
	// KeyLog is as in ServerConfig.
	KeyLog io.Writer
}

// Check says what is wrong with the config, never what the key is. A handshake fails with a wrong one.
func (c *ClientConfig) Check() error {
	_, known := choose(c.Suites)
	switch {
	case !validIdentity(c.Identity):
		return errors.New("tls-psk: expected an identity of 1 to 256 bytes, UTF-8 without NUL")
	case len(c.Key) == 0 || len(c.Key) > MaxKey:
		return errors.New("tls-psk: expected a key of 1 to 512 bytes")
	case !known:
		return errors.New("tls-psk: expected suites of this package")
	}
	for _, name := range c.Protocols {
		if name == "" || len(name) > 255 {
			return errors.New("tls-psk: expected protocols for ALPN of 1 to 255 bytes")
		}
	}
	return nil
}

// validIdentity is RFC 4279, 5.1, and no NUL, since an identity may become a user name of MQTT.
func validIdentity(identity string) bool {
	for _, r := range identity {
		if r == 0 {
			return false
		}
	}
	return identity != "" && len(identity) <= MaxIdentity && utf8.ValidString(identity)
}

// NewListener returns a listener whose connections are servers' ends of type *Conn. Accept does not wait for the handshake.
func NewListener(inner net.Listener, config *ServerConfig) net.Listener {
	return &listener{inner, config}
}

type listener struct {
	net.Listener
	config *ServerConfig
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Server(conn, l.config), nil
}
