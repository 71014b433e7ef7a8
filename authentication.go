package unio

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/audit"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/guard"
	"github.com/uniomq/unio/internal/auth/wiring"
	"github.com/uniomq/unio/mqtt"
)

// authentication is what of a Server decides who is let in, and tells of it.
type authentication struct {
	log   *slog.Logger
	gate  *auth.Gate
	maker *wiring.Maker
	auth  *auth.Authenticator
	guard *guard.Guard
	audit auditLog

	// stopRecheck ends the recheck under way, if there is one; a reload or Shutdown calls it.
	stopRecheck atomic.Pointer[context.CancelFunc]

	mu     sync.Mutex           // guards faults
	faults map[string]time.Time // by backend: when one was logged
}

// newAuthentication returns one that lets nobody in before use.
func newAuthentication(log *slog.Logger) *authentication {
	a := &authentication{log: log, gate: auth.NewGate(), guard: guard.New(guard.Options{}), faults: map[string]time.Time{}}
	a.maker = wiring.NewMaker(a.gate, func(err error) { a.fault("background", err) })
	a.auth = auth.New(auth.Options{Listener: auth.Listener{RefuseAnonymous: true}, Gate: a.gate})
	return a
}

// use puts what was read in force.
func (a *authentication) use(s *security, build *wiring.Build) {
	build.Keep()
	s.auth.Guard, s.auth.Decided = a.guard, a.decided
	s.bans.Banned = a.banned
	a.guard.Set(s.bans)
	a.auth.Set(s.auth)
}

// bans returns what a configuration says of bans.
func bans(cfg *config.Config) guard.Options {
	b := cfg.Ban
	return guard.Options{Attempts: b.Attempts, Window: b.Window, Time: b.Time, Delay: b.Delay, Exempt: b.Exempt}
}

// decided logs what the backends said of a client.
func (a *authentication) decided(c *broker.Client, d *auth.Decision) {
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
	a.audit.write(event, append(describe(c), slog.String("reason", d.String()))...)
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
func (a *authentication) fault(backend string, err error) {
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
func (a *authentication) banned(b guard.Ban) {
	a.log.Warn("Banned " + banOf(b).String() + " until " + b.Until.UTC().Format(time.RFC3339) + ".")
	a.audit.write("ban", describeBan(b)...)
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
func (s *Server) Bans() []Ban {
	var all []Ban
	for _, b := range s.who.guard.Bans() {
		all = append(all, banOf(b))
	}
	return all
}

// LiftBan ends the ban of an address, a user name, or both, as Bans tells it, and reports whether there was one.
func (s *Server) LiftBan(address, user string) bool {
	for _, b := range s.who.guard.Bans() {
		if o := banOf(b); o.Address == address && o.User == user && s.who.guard.Lift(b) {
			s.log.Info("The ban of " + o.String() + " was lifted.")
			s.who.audit.write("ban_lifted", describeBan(b)...)
			return true
		}
	}
	return false
}

// nextRecheck ends the recheck under way, and returns the context of another one.
func (a *authentication) nextRecheck() context.Context {
	a.endRecheck()
	ctx, cancel := context.WithCancel(context.Background())
	a.stopRecheck.Store(&cancel)
	return ctx
}

// endRecheck ends the recheck under way.
func (a *authentication) endRecheck() {
	if stop := a.stopRecheck.Swap(nil); stop != nil {
		(*stop)()
	}
}

// reloadAudit opens the audit log anew, or another one. If the one in use cannot be opened anew it goes on in what is
// open: a reload that keeps somebody out must not wait for that.
func (a *authentication) reloadAudit(path string) error {
	a.audit.mu.RLock()
	same := a.audit.l.Path() == path
	if same {
		if err := a.audit.l.Reopen(); err != nil {
			a.log.Error(err.Error() + "; security events go on to the file that is open, even if that has another name now")
		}
	}
	a.audit.mu.RUnlock()
	if same {
		return nil
	}
	l, err := a.openAudit(path)
	if err != nil {
		return err
	}
	return a.audit.use(l)
}

// close ends what is open. Nobody asks any more.
func (a *authentication) close() error {
	a.auth.Close()
	return a.audit.use(nil)
}

// recheckers is how many connected clients are asked about at once.
const recheckers = 4

// recheck asks those backends that must ask somebody else whether the clients that they let in would be let in still, and
// disconnects those that would not. Who cannot be asked about stays.
func (s *Server) recheck(ctx context.Context) {
	clients := make(chan *broker.Client)
	var done sync.WaitGroup
	for range recheckers {
		done.Go(func() {
			for c := range clients {
				valid, err := s.who.auth.Recheck(ctx, c)
				switch {
				case err != nil && ctx.Err() == nil:
					s.who.fault("recheck", err)
				case err == nil && !valid:
					s.revoke(c)
				}
			}
		})
	}
	for _, c := range s.broker.Clients() {
		if ctx.Err() != nil {
			break
		}
		clients <- c
	}
	close(clients)
	done.Wait()
}

// revoke disconnects a client that would not be let in any more.
func (s *Server) revoke(c *broker.Client) {
	if s.broker.DisconnectClient(c, mqtt.NotAuthorized) {
		s.who.audit.write("revoked", describe(c)...)
	}
}

// denied tells the audit log what a client may not do, and why.
func (s *Server) denied(a broker.Access) {
	if !s.who.audit.on() {
		return
	}
	attrs := append(describe(a.Client), slog.String("action", acl.ActionName(a.Action)), slog.String("topic", string(a.Topic)))
	s.who.audit.write("denied", append(attrs, slog.String("reason", s.acl.Reason(a)))...)
}

// auditLog is the audit log in force, which a reload may replace.
type auditLog struct {
	mu sync.RWMutex // guards l; held while an event is written
	l  *audit.Log
}

// on reports whether events are written.
func (a *auditLog) on() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.l != nil
}

func (a *auditLog) write(event string, attrs ...slog.Attr) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	a.l.Write(event, attrs...)
}

// openAudit opens the log at path, for use; nil for no path.
func (a *authentication) openAudit(path string) (*audit.Log, error) {
	if path == "" {
		return nil, nil
	}
	return audit.Open(path, func(err error) { a.fault("audit", err) })
}

// use replaces the log, and closes what was there.
func (a *auditLog) use(l *audit.Log) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.l
	a.l = l
	return old.Close()
}

// ReopenAudit opens the audit log's file anew, for the program that rotates it.
func (s *Server) ReopenAudit() error {
	s.who.audit.mu.RLock()
	defer s.who.audit.mu.RUnlock()
	return s.who.audit.l.Reopen()
}

// GiveAuditTo makes an audit log's file that was made belong to a user, who is to open it again.
func (s *Server) GiveAuditTo(uid, gid int) error { return s.who.audit.l.GiveTo(uid, gid) }
