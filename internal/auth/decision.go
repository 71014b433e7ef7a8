package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// Said is what one backend said.
type Said struct {
	Backend string
	Answer  Answer
	Err     error // nil, or why there is no Answer
}

// String returns "BACKEND: REASON".
func (s Said) String() string {
	if s.Err != nil {
		return s.Backend + ": " + s.Err.Error()
	}
	return s.Backend + ": " + s.Answer.Reason
}

// Decision is the outcome of asking a chain.
type Decision struct {
	Allowed bool
	Said    []Said          // by those that were asked, in their order
	Code    mqtt.ReasonCode // that the client is told, unless Allowed
	Banned  bool            // nobody was asked: the client is banned
	Took    time.Duration

	answer Answer
	proof  proof
}

// String returns what each backend said.
func (d *Decision) String() string {
	texts := make([]string, len(d.Said))
	for i, s := range d.Said {
		texts[i] = s.String()
	}
	return strings.Join(texts, "; ")
}

// Failed reports whether a backend could not answer.
func (d *Decision) Failed() bool {
	for _, s := range d.Said {
		if s.Err != nil {
			return true
		}
	}
	return false
}

// Refusal is the error for a client that is not let in.
type Refusal struct{ Decision *Decision }

// Error says what each backend said.
func (r *Refusal) Error() string { return r.Decision.Code.String() + " (" + r.Decision.String() + ")" }

// Unwrap returns the reason code that the client is told.
func (r *Refusal) Unwrap() error { return r.Decision.Code }

// chainName stands for the chain as a whole, where no backend has decided.
const chainName = "chain"

// needsNone reports whether the client needs no backend: it claims no name, or one that nobody checks.
func (l *Listener) needsNone(c *broker.Client) bool {
	if !c.HasUsername {
		return true
	}
	for _, b := range l.Chain {
		if b.Name() != TransportName {
			return false
		}
	}
	return true
}

// link returns the backend of that name, or nil.
func (l *Listener) link(name string) Backend {
	for _, b := range l.Chain {
		if b.Name() == name {
			return b
		}
	}
	return nil
}

// ask asks the backends until one decides.
func (l *Listener) ask(ctx context.Context, r *Request) *Decision {
	d := &Decision{}
	for _, b := range l.Chain {
		answer, err := b.Check(ctx, r)
		if d.add(b.Name(), answer, err) {
			return d
		}
	}
	switch {
	case !l.needsNone(r.Client):
		d.add(chainName, Denied("nobody knows the user"), nil)
	case l.RefuseAnonymous:
		d.add(chainName, Denied("anonymous clients are refused"), nil)
	default:
		d.add("", Answer{Verdict: Allow, Reason: "allow_anonymous"}, nil)
	}
	return d
}

// add notes what a backend said, and reports whether that decides.
func (d *Decision) add(backend string, a Answer, err error) bool {
	if err == nil && a.Verdict == Allow && !a.Expires.IsZero() && !time.Now().Before(a.Expires) {
		a = Denied("expired")
	}
	d.Said = append(d.Said, Said{backend, a, err})
	switch {
	case err != nil:
		d.Code = reasonOf(err)
		return true
	case a.Verdict == NotMine:
		return false
	case a.Verdict == Deny:
		d.Code = mqtt.NotAuthorized
		return true
	}
	d.Allowed, d.answer, d.proof = true, a, proof{backend, a.Proof}
	return true
}

// settle tells the client what was decided of it. A name that was proved counts only if CONNECT has the same or none:
// limits and client ids may depend on CONNECT's.
func (d *Decision) settle(c *broker.Client) {
	a := &d.answer
	if name := a.Username; name != "" && c.HasUsername && c.Username != "" && c.Username != name {
		d.Allowed, d.Code = false, mqtt.NotAuthorized
		d.Said = append(d.Said, Said{chainName, Denied("the user name is not the one that was proved"), nil})
		return
	}
	if a.Username != "" {
		c.Username, c.HasUsername = a.Username, true
	}
	c.Attributes, c.Expires = usualNames(a.Attributes), a.Expires
	if d.proof.backend != "" {
		c.Auth, c.LoggedIn = d.proof, true
	}
}

// attributeNames are what others call the attributes of broker.
var attributeNames = map[string]string{"groups": broker.AttributeGroup, "roles": broker.AttributeRole}

// usualNames returns attributes under the names of broker. The map may be a remembered one, so it stays as it is.
func usualNames(attributes map[string][]string) map[string][]string {
	if len(attributes) == 0 {
		return nil
	}
	all := make(map[string][]string, len(attributes))
	for name, values := range attributes {
		if usual, ok := attributeNames[name]; ok {
			name = usual
		}
		all[name] = append(all[name], values...)
	}
	return all
}

// Login is who tries to log in, for a Guard.
type Login struct {
	Address netip.Addr // the zero Addr: unknown, as that of a Unix socket
	// Forwarded says that the client has not shown that Address is its own: see broker.Transport.
	// It is no reason to spare it.
	Forwarded bool
	User      string // empty: none
	// Proved says that the client has proved User by its certificate or its pre-shared key.
	Proved bool
	// Credential stands for name and password without telling them; equal ones have the same.
	Credential uint64
}

// A Guard holds up who guesses passwords.
type Guard interface {
	// Banned reports whether the login is not even to be looked at.
	Banned(Login) bool
	// Failed notes a failure and returns how long the answer to it is to be kept back.
	Failed(Login) time.Duration
	// Succeeded notes a success.
	Succeeded(Login)
}

// judge makes a decision on a client, as far as the Guard lets it. guess says that the client presents something that may be a guess.
func (g *generation) judge(ctx context.Context, c *broker.Client, who Login, guess bool, ask func() *Decision) error {
	start := time.Now()
	if err := g.banned(c, who); err != nil {
		return err
	}
	d := ask()
	if d.Allowed {
		d.settle(c)
	}
	d.Took = time.Since(start)
	var wait time.Duration
	switch {
	case g.Guard == nil:
	case d.Allowed && d.proof.backend != "":
		who.User = c.Username
		g.Guard.Succeeded(who)
	case !d.Allowed && guess && !d.Failed():
		wait = g.failed(ctx, who)
	}
	g.tell(c, d)
	if d.Allowed {
		return nil
	}
	Pause(ctx, wait, nil)
	return &Refusal{d}
}

// failed notes a failure and returns how long the answer is to be kept back. A client that does not wait for it is no device with an
// outdated password, however often it comes with the same one: each time is another attempt.
func (g *generation) failed(ctx context.Context, who Login) time.Duration {
	if !broker.Gone(ctx) {
		return g.Guard.Failed(who)
	}
	who.Credential = random()
	g.Guard.Failed(who)
	return 0
}

// banned returns the refusal of a login that the Guard has banned.
func (g *generation) banned(c *broker.Client, who Login) error {
	if g.Guard == nil || !g.Guard.Banned(who) {
		return nil
	}
	d := &Decision{Banned: true, Code: mqtt.Banned, Said: []Said{{"ban", Denied("banned"), nil}}}
	g.tell(c, d)
	return &Refusal{d}
}

func (g *generation) tell(c *broker.Client, d *Decision) {
	if g.Decided != nil {
		g.Decided(c, d)
	}
}

// Pause waits, at most until early is closed or gets something, or ctx ends. A nil early never is.
func Pause(ctx context.Context, d time.Duration, early <-chan struct{}) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-ctx.Done():
	}
}

func loginOf(c *broker.Client) Login {
	who := Login{Address: addressOf(c), User: c.Username}
	if t := c.Transport; t != nil {
		who.Forwarded, who.Proved = t.Forwarded, t.Username != ""
	}
	return who
}

// addressOf returns the client's IP address.
func addressOf(c *broker.Client) netip.Addr {
	if tcp, ok := c.RemoteAddr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// Network returns what of an address counts as one: an IPv4 address, or the /64 of an IPv6 address, since a host has a whole one. It is the
// zero Prefix for the zero Addr.
func Network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// processKey is drawn once, so that tags of passwords mean nothing outside of the process.
var processKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key)
	return key
})

// tag returns an HMAC of parts, each with its length, under the key of the process.
func tag(parts ...string) [sha256.Size]byte {
	m := hmac.New(sha256.New, processKey())
	for _, p := range parts {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		m.Write(n[:])
		m.Write([]byte(p))
	}
	return [sha256.Size]byte(m.Sum(nil))
}

// credential returns Login.Credential.
func credential(user string, password []byte) uint64 {
	sum := tag(user, string(password))
	return binary.LittleEndian.Uint64(sum[:])
}
