// Package access decides who is let in and what they may do, and tells of it: the passwords, backends,
// bans, rules and dynamic security that a configuration asks for, put together and followed through
// reloads, and the audit log. What each of them is are packages of their own.
package access

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/guard"
	"github.com/uniomq/unio/internal/auth/wiring"
	"github.com/uniomq/unio/internal/control"
	"github.com/uniomq/unio/internal/part"
)

// Access is the part of a server that decides who is let in and what they may do, and tells of it.
type Access struct {
	Authenticator *auth.Authenticator
	Authorizer    *acl.Authorizer
	Audit         *AuditLog // a part of its own, to be closed before

	log     *slog.Logger
	maker   *wiring.Maker
	guard   *guard.Guard
	dynamic *dynamicSecurity

	mu     sync.Mutex           // guards faults
	faults map[string]time.Time // by backend: when one was logged
}

// New returns one that lets nobody in before it uses a configuration. Requests to dynamic
// security come by endpoints.
func New(log *slog.Logger, b *broker.Broker, endpoints *control.Endpoints) *Access {
	gate := auth.NewGate()
	a := &Access{log: log, guard: guard.New(guard.Options{}), Authorizer: acl.New(acl.Options{}), faults: map[string]time.Time{}}
	a.maker = wiring.NewMaker(gate, func(err error) { a.fault("background", err) })
	a.Authenticator = auth.New(auth.Options{Listener: auth.Listener{RefuseAnonymous: true}, Gate: gate})
	a.dynamic = newDynamicSecurity(log, gate, a.Authorizer, b, endpoints)
	a.Audit = &AuditLog{log: log, failed: func(err error) { a.fault("audit", err) }}
	return a
}

// Check returns one that looks at files alone, by Prepare: it makes none that are missing.
func Check() *Access {
	b := broker.Make()
	a := New(slog.New(slog.DiscardHandler), b, control.New(b))
	a.dynamic.dry = true
	return a
}

// Prepare implements part.Part.
func (a *Access) Prepare(cfg *config.Config) (part.Prepared, error) {
	build := a.maker.Begin(cfg)
	s, err := loadSecurity(cfg, build, a.dynamic.opener())
	if err != nil {
		return part.Prepared{}, err
	}
	discard := func() {
		s.discard()
		build.Discard()
	}
	return part.Prepared{Warnings: s.warnings, Use: func() { a.use(s, build) }, Discard: discard}, nil
}

// Start implements part.Part.
func (*Access) Start() error { return nil }

// Close implements part.Part. Nobody asks any more.
func (a *Access) Close(context.Context) error {
	a.Authenticator.Close()
	return nil
}

// use puts what was read in force.
func (a *Access) use(s *security, build *wiring.Build) {
	build.Keep()
	s.auth.Guard, s.auth.Decided = a.guard, a.decided
	s.bans.Banned = a.banned
	a.guard.Set(s.bans)
	a.Authenticator.Set(s.auth)
	a.dynamic.use(s)
}

// Denied tells the audit log what a client may not do, and why.
func (a *Access) Denied(d broker.Access) {
	if !a.Audit.On() {
		return
	}
	attrs := append(describe(d.Client), slog.String("action", acl.ActionName(d.Action)), slog.String("topic", string(d.Topic)))
	a.Audit.Write("denied", append(attrs, slog.Any("reason", because{a.Authorizer, d}))...)
}

// because is why a client may not do something. To find that out costs more than to deny it: it is
// done for what is written.
type because struct {
	acl    *acl.Authorizer
	denied broker.Access
}

// LogValue implements slog.LogValuer.
func (b because) LogValue() slog.Value { return slog.StringValue(b.acl.Reason(b.denied)) }

// bans returns what a configuration says of bans.
func bans(cfg *config.Config) guard.Options {
	b := cfg.Ban
	return guard.Options{Attempts: b.Attempts, Window: b.Window, Time: b.Time, Delay: b.Delay, Exempt: b.Exempt}
}

// decided logs what the backends said of a client.
func (a *Access) decided(c *broker.Client, d *auth.Decision) {
	for _, s := range d.Said {
		if s.Err != nil {
			a.fault(s.Backend, s.Err)
		}
	}
	if a.log.Enabled(context.Background(), slog.LevelDebug) {
		a.log.Debug(fmt.Sprintf("Authentication of %s: %s (%v).", c.ID, d, d.Took.Round(time.Microsecond)))
	}
	if d.Allowed {
		return
	}
	event := "login_failed"
	switch {
	case d.Banned:
		event = "login_banned"
	case d.Failed():
		event = "login_error"
	}
	a.Audit.Write(event, append(describe(c), slog.String("reason", d.String()))...)
}

// describe returns what events say of a client.
func describe(c *broker.Client) []slog.Attr {
	attrs := []slog.Attr{slog.String("client", c.ID), slog.String("user", c.Username), slog.String("listener", c.Listener)}
	if c.RemoteAddr != nil {
		attrs = append(attrs, slog.String("address", c.RemoteAddr.String()))
	}
	return attrs
}

// faultPause is the time between two lines about one backend that does not answer.
const faultPause = 10 * time.Second

// fault logs why a backend has no answer, not more often than anybody can read.
func (a *Access) fault(backend string, err error) {
	now := time.Now()
	a.mu.Lock()
	last := a.faults[backend]
	ok := now.Sub(last) >= faultPause
	if ok {
		a.faults[backend] = now
	}
	a.mu.Unlock()
	if ok {
		a.log.Error("Authentication by " + backend + ": " + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// banned logs a ban.
func (a *Access) banned(b guard.Ban) {
	a.log.Warn("Banned " + banOf(b).String() + " until " + b.Until.UTC().Format(time.RFC3339) + ".")
	a.Audit.Write("ban", describeBan(b)...)
}

func describeBan(b guard.Ban) []slog.Attr {
	attrs := []slog.Attr{slog.String("kind", string(b.Kind)), slog.String("user", b.User)}
	if b.Address.IsValid() {
		attrs = append(attrs, slog.String("address", banOf(b).Address))
	}
	return append(attrs, slog.Int("attempts", b.Attempts), slog.Time("until", b.Until.UTC()))
}

// A Ban keeps an address, a user name, or a user name at an address, out for a time.
type Ban struct {
	Address  string // an IP address or an IPv6 network; empty: any
	User     string // empty: any
	Since    time.Time
	Until    time.Time
	Attempts int // that led to it
}

// String names what is banned.
func (b Ban) String() string {
	switch {
	case b.User == "":
		return "address " + b.Address
	case b.Address == "":
		return fmt.Sprintf("user %q", b.User)
	}
	return fmt.Sprintf("user %q at %s", b.User, b.Address)
}

func banOf(b guard.Ban) Ban {
	text := ""
	if b.Address.IsValid() {
		text = b.Address.String()
		if b.Address.IsSingleIP() {
			text = b.Address.Addr().String()
		}
	}
	return Ban{Address: text, User: b.User, Since: b.Since, Until: b.Until, Attempts: b.Attempts}
}

// Bans returns the bans in force, those that end first in front.
func (a *Access) Bans() []Ban {
	var all []Ban
	for _, b := range a.guard.Bans() {
		all = append(all, banOf(b))
	}
	return all
}

// LiftBan ends the ban of an address, a user name, or both, as Bans tells it, and reports whether there was one.
func (a *Access) LiftBan(address, user string) bool {
	for _, b := range a.guard.Bans() {
		if o := banOf(b); o.Address == address && o.User == user && a.guard.Lift(b) {
			a.log.Info("The ban of " + o.String() + " was lifted.")
			a.Audit.Write("ban_lifted", describeBan(b)...)
			return true
		}
	}
	return false
}
