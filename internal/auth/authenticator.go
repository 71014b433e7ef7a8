package auth

import (
	"context"
	"errors"
	"sync"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// Listener is what an Authenticator asks of the clients of a listener. The zero value
// accepts everybody.
type Listener struct {
	// Chain are the backends in the order in which they are asked; nil: Transport, and behind it Passwords if they are there.
	Chain []Backend
	// Passwords are the users of the listener's password file where there is no Chain; nil: there is none.
	Passwords *Passwords
	// RefuseAnonymous is the opposite of allow_anonymous. Clients without a user name that no backend
	// lets in are refused, and so are those with one where no backend checks it, as
	// in Mosquitto: such a name proves nothing.
	RefuseAnonymous bool
}

// Options configure an Authenticator.
type Options struct {
	Listener                      // of those that are not in Listeners
	Listeners map[string]Listener // by broker.ListenerOptions.Name, for per_listener_settings

	// Gate is where hashes of password files are computed; nil: one that New makes.
	Gate *Gate
	// Guard, if there is one, bans who guesses.
	Guard Guard
	// Decided, if it is not nil, is told of each decision, in the goroutine of the connection.
	Decided func(c *broker.Client, d *Decision)
}

// An Authenticator asks the backends of each listener's chain who a client is. Set may be called at any time.
type Authenticator struct {
	mu      sync.RWMutex // guards current; held while somebody begins to use it
	current *generation
	gate    *Gate
	closing sync.WaitGroup // generations that are not used any more
}

var (
	_ broker.Authenticator = (*Authenticator)(nil)
	_ broker.Revalidator   = (*Authenticator)(nil)
)

// New returns an Authenticator with these options.
func New(o Options) *Authenticator {
	a := &Authenticator{gate: o.Gate}
	if a.gate == nil {
		a.gate = NewGate()
	}
	a.Set(o)
	return a
}

// Set replaces the options as a whole, for the clients that come from now on. Valid and Recheck tell
// which of those that are there would be refused. Backends that are not in use any more, and have a method Close,
// are closed when nobody waits for their answer.
func (a *Authenticator) Set(o Options) {
	g := newGeneration(o, a.gate)
	a.mu.Lock()
	old := a.current
	a.current = g
	a.mu.Unlock()
	if old != nil {
		a.closing.Go(func() { old.retire(g) })
	}
}

// Close closes all backends; there must be no more calls of other methods. It waits for those that Set retired.
func (a *Authenticator) Close() {
	a.mu.Lock()
	old := a.current
	a.current = newGeneration(Options{Listener: Listener{RefuseAnonymous: true}}, a.gate)
	a.mu.Unlock()
	old.retire(nil)
	a.closing.Wait()
}

// use returns the options in force, which stay usable until release.
func (a *Authenticator) use() *generation {
	a.mu.RLock()
	defer a.mu.RUnlock()
	a.current.users.Add(1)
	return a.current
}

// Authenticate accepts a client that a backend of the listener's chain accepts, and one that needs none. Its error is a
// *Refusal.
func (a *Authenticator) Authenticate(ctx context.Context, c *broker.Client, password []byte) error {
	c.Auth = nil
	g := a.use()
	defer g.users.Done()
	who := loginOf(c)
	guess := c.HasUsername || password != nil
	if guess {
		who.Credential = credential(c.Username, password)
	}
	return g.judge(ctx, c, who, guess, func() *Decision {
		return g.listener(c.Listener).ask(ctx, &Request{c, password})
	})
}

// Valid reports whether a connected client would still be accepted, as far as that can
// be said at once and without its password: with a password file that its user exists, and the hash is the one that the
// password matched. After Set, those for whom it is false are to be disconnected.
func (a *Authenticator) Valid(c *broker.Client) bool {
	g := a.use()
	defer g.users.Done()
	l := g.listener(c.Listener)
	p, _ := c.Auth.(proof)
	if p.backend == "" {
		return l.needsNone(c) && !l.RefuseAnonymous
	}
	switch b := l.link(p.backend).(type) {
	case nil:
		return false
	case Validator:
		return b.Valid(c, p.value)
	}
	return true
}

// Recheck is Valid for backends that have to ask somebody else. On an error it cannot be said.
func (a *Authenticator) Recheck(ctx context.Context, c *broker.Client) (bool, error) {
	g := a.use()
	defer g.users.Done()
	p, _ := c.Auth.(proof)
	if b, ok := g.listener(c.Listener).link(p.backend).(Rechecker); ok {
		return b.Recheck(ctx, c, p.value)
	}
	return true, nil
}

// Revalidate asks about a client that was let in before Set, and is not connected yet: Valid and
// Recheck in one. Who cannot be asked about is refused, as at any login.
func (a *Authenticator) Revalidate(ctx context.Context, c *broker.Client) error {
	valid, err := a.Valid(c), error(nil)
	if valid {
		valid, err = a.Recheck(ctx, c)
	}
	if valid && err == nil {
		return nil
	}
	d := &Decision{}
	d.add(chainName, Denied("what it was let in with does not hold any more"), err)
	g := a.use()
	defer g.users.Done()
	g.tell(c, d)
	return &Refusal{d}
}

// asReason returns the reason code that an error is or wraps.
func asReason(err error) (mqtt.ReasonCode, bool) {
	var code mqtt.ReasonCode
	ok := errors.As(err, &code)
	return code, ok
}
