package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// RefuseCause says why a connection never became that of a client.
type RefuseCause uint8

// The causes of refusals.
const (
	RefuseRate        RefuseCause = iota // MaxConnectionRate of its address
	RefuseUnaccepted                     // MaxUnaccepted
	RefuseTimeout                        // ConnectTimeout passed
	RefuseHandshake                      // of a layer below MQTT: TLS, WebSocket, PROXY
	RefuseProtocol                       // no CONNECT, or a malformed or forbidden one
	RefuseCredentials                    // not authorized, or not who it says
	RefuseBusy                           // MaxConnections, MaxSessions, or the store is full
	RefuseClosed                         // it went away by itself
	refuseCauses
)

var refuseNames = [refuseCauses]string{"rate", "unaccepted", "timeout", "handshake", "protocol", "credentials", "busy", "closed"}

// String names the cause in a word.
func (r RefuseCause) String() string {
	if r < refuseCauses {
		return refuseNames[r]
	}
	return "unknown"
}

// RefuseCauses is how many causes there are; each is below it.
const RefuseCauses = int(refuseCauses)

// Errors of connections that are closed at the door, before they have said anything.
var (
	ErrConnectionRate = errors.New("too many connections from its address within a second")
	ErrUnaccepted     = errors.New("too many connections that have not sent CONNECT")
)

// ErrMaxConnections refuses a client beyond MaxConnections.
var ErrMaxConnections = fmt.Errorf("max_connections exceeded: %w", mqtt.ServerBusy)

// handshakeError is an error of a layer below MQTT.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// lateError is the error of a connection that took longer than ConnectTimeout.
type lateError struct {
	timeout time.Duration
	cause   error // says little: which call had to wait last
}

func (e lateError) Unwrap() error { return e.cause }

func (e lateError) Error() string {
	if errors.As(e.cause, &handshakeError{}) {
		return fmt.Sprintf("the handshake was not over within %v", e.timeout)
	}
	return fmt.Sprintf("no CONNECT was accepted within %v", e.timeout)
}

// refuseCause is the cause that an error stands for.
func refuseCause(err error) RefuseCause {
	var code mqtt.ReasonCode
	var ne net.Error
	switch {
	case errors.Is(err, ErrConnectionRate):
		return RefuseRate
	case errors.Is(err, ErrUnaccepted):
		return RefuseUnaccepted
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return RefuseTimeout
	case errors.As(err, &handshakeError{}):
		return RefuseHandshake
	case errors.Is(err, errNoConnect):
		return RefuseProtocol
	case errors.As(err, &code):
		switch code {
		case mqtt.NotAuthorized, mqtt.BadUserNameOrPassword, mqtt.BadAuthenticationMethod, mqtt.Banned:
			return RefuseCredentials
		case mqtt.ServerBusy, mqtt.QuotaExceeded, mqtt.ServerUnavailable, mqtt.ConnectionRateExceeded:
			return RefuseBusy
		}
		return RefuseProtocol
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return RefuseBusy
	case errors.As(err, &ne) && ne.Timeout():
		return RefuseTimeout
	}
	return RefuseClosed
}

// door counts connections by their address within the current second.
type door struct {
	mu     sync.Mutex
	second int64
	seen   map[netip.Addr]int
}

// enter reports whether one more connection from an address is within the limit. Memory is bounded by what a second brings.
func (d *door) enter(from net.Addr, limit int, now time.Time) bool {
	addr, ok := addressOf(from)
	if !ok {
		return true // a Unix socket: access to it is a matter of the file system
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := now.Unix(); s != d.second || d.seen == nil {
		d.second, d.seen = s, make(map[netip.Addr]int)
	}
	d.seen[addr]++
	return d.seen[addr] <= limit
}

// addressOf returns what counts as one address: an IPv4 address, or the 64 bits that name an IPv6 network, since a host has a whole one.
func addressOf(a net.Addr) (netip.Addr, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(t.IP)
	if !ok {
		return netip.Addr{}, false
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr, true
	}
	p, err := addr.Prefix(64)
	return p.Addr(), err == nil
}

// admit takes one of MaxUnaccepted for a connection that was just accepted. What is refused has
// been counted and told.
func (b *Broker) admit(nc net.Conn, lo *ListenerOptions) bool {
	err := ErrUnaccepted
	if take(&b.counters.unaccepted, b.options.Load().MaxUnaccepted) {
		if lo.Admitted || lo.Proxied {
			return true
		}
		if err = b.AdmitAddress(nc.RemoteAddr()); err == nil {
			return true
		}
		b.counters.unaccepted.Add(-1)
	}
	b.Refuse(nc.RemoteAddr(), nc.LocalAddr(), err)
	return false
}

// AdmitAddress judges one more connection of a client by its address alone: ErrConnectionRate, or nil. The refusal is counted and told when
// the handshake that it ends has failed.
func (b *Broker) AdmitAddress(client net.Addr) error {
	if o := b.options.Load(); o.MaxConnectionRate > 0 && !b.door.enter(client, o.MaxConnectionRate, time.Now()) {
		return ErrConnectionRate
	}
	return nil
}

// Refuse counts and tells a connection that failed before it could be served. A cause that wraps
// ErrConnectionRate or ErrUnaccepted counts as that.
func (b *Broker) Refuse(remote, local net.Addr, cause error) {
	if !errors.Is(cause, ErrConnectionRate) && !errors.Is(cause, ErrUnaccepted) {
		cause = handshakeError{cause}
	}
	b.counters.accepted.Add(1)
	b.refused(&Client{RemoteAddr: remote, LocalAddr: local}, cause)
}

// refused counts and tells a connection that got no session.
func (b *Broker) refused(c *Client, err error) {
	b.counters.refused.Add(1)
	b.counters.refusedBy[refuseCause(err)].Add(1)
	if event := b.options.Load().Events.Refused; event != nil {
		event(c, err)
	}
}
