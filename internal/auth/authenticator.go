package auth

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// Listener is what an Authenticator asks of the clients of a listener. The zero value
// accepts everybody.
type Listener struct {
	// Passwords are the listener's users; nil: there is no password file.
	Passwords *Passwords
	// RefuseAnonymous is the opposite of allow_anonymous. Clients without a user name are
	// refused, and so are those with one where there is no password file to check it, as
	// in Mosquitto: such a name proves nothing.
	RefuseAnonymous bool
}

// Options configure an Authenticator.
type Options struct {
	Listener                      // of those that are not in Listeners
	Listeners map[string]Listener // by broker.ListenerOptions.Name, for per_listener_settings
}

// An Authenticator checks user names and passwords. Set may be called at any time.
type Authenticator struct {
	options atomic.Pointer[Options]
	gate    *gate
}

var _ broker.Authenticator = (*Authenticator)(nil)

// New returns an Authenticator with these options.
func New(o Options) *Authenticator {
	a := &Authenticator{gate: newGate()}
	a.Set(o)
	return a
}

// Set replaces the options as a whole, for the clients that come from now on. Valid tells
// which of those that are there would be refused.
func (a *Authenticator) Set(o Options) { a.options.Store(&o) }

func (a *Authenticator) listener(name string) Listener {
	o := a.options.Load()
	if l, ok := o.Listeners[name]; ok {
		return l
	}
	return o.Listener
}

// verified is what Authenticate keeps in broker.Client.Auth: the hash that the client's
// password matched, as text. Its absence says that no password was checked.
type verified string

// Authenticate accepts a client with a user of the listener's password file and that
// user's password, and one that needs none. It waits until it may compute: see gate.
func (a *Authenticator) Authenticate(ctx context.Context, c *broker.Client, password []byte) error {
	c.Auth = nil
	if vouched(c) {
		return nil
	}
	l := a.listener(c.Listener)
	if !c.HasUsername || l.Passwords == nil {
		if l.RefuseAnonymous {
			return mqtt.NotAuthorized
		}
		return nil
	}
	h, _ := l.Passwords.candidate(c.Username)
	if h == nil {
		return mqtt.NotAuthorized
	}
	leave, err := a.gate.enter(ctx, h)
	if err != nil {
		return fmt.Errorf("wait for the check of the password: %w", mqtt.ServerBusy)
	}
	defer leave()
	h, ok := l.Passwords.verify(c.Username, password)
	if !ok || password == nil { // no password is not an empty one
		return mqtt.NotAuthorized
	}
	c.Auth = verified(h.String())
	return nil
}

// vouched reports whether the transport says who the client is: use_identity_as_username and the like. Nobody asks for a password then.
func vouched(c *broker.Client) bool { return c.Transport != nil && c.Transport.Username != "" }

// Exchange refuses: password files know no enhanced authentication.
func (a *Authenticator) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return nil, mqtt.BadAuthenticationMethod
}

// Valid reports whether a connected client would still be accepted, as far as that can
// be said without its password: its user exists, and the hash is the one that the
// password matched. After Set, those for whom it is false are to be disconnected.
func (a *Authenticator) Valid(c *broker.Client) bool {
	if vouched(c) {
		return true
	}
	l := a.listener(c.Listener)
	if !c.HasUsername || l.Passwords == nil {
		return !l.RefuseAnonymous
	}
	h, known := l.Passwords.users[c.Username]
	matched, checked := c.Auth.(verified)
	return known && checked && string(matched) == h.String()
}
