package auth

import (
	"context"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// Verdict is what a Backend says of a client.
type Verdict uint8

// The verdicts.
const (
	NotMine Verdict = iota // the client is none that it knows: the next backend is asked
	Allow
	Deny
)

// String returns the verdict as logs have it.
func (v Verdict) String() string { return [...]string{"not mine", "allow", "deny"}[v] }

// Answer is what a Backend says of a client, and why. Reason never holds a secret.
type Answer struct {
	Verdict    Verdict
	Reason     string
	Username   string              // that was proved, for a client that gave none in CONNECT
	Attributes map[string][]string // for broker.Client.Attributes; groups and roles become group and role
	Expires    time.Time           // for broker.Client.Expires
	Proof      any                 // for Valid and Recheck of the same Backend
}

// Denied returns the answer Deny.
func Denied(reason string) Answer { return Answer{Verdict: Deny, Reason: reason} }

// Unknown returns the answer NotMine.
func Unknown(reason string) Answer { return Answer{Verdict: NotMine, Reason: reason} }

// Request is what a Backend is asked. It reads Client, and keeps neither.
type Request struct {
	Client   *broker.Client
	Password []byte // nil: none, which is not an empty one
}

// A Backend is one link of a chain; it is a pointer. Its methods are called by many goroutines at once, and end when ctx does.
type Backend interface {
	// Name is that of auth_chain.
	Name() string
	// Check judges a client. An error, which must not hold a secret, refuses it, and no other backend is asked: one that
	// cannot answer might have said no. If it is or wraps a mqtt.ReasonCode the client is told that one.
	Check(ctx context.Context, r *Request) (Answer, error)
}

// A Validator is a Backend that can say at once, without I/O, whether a client that it let in would be let in still,
// as far as that can be said without its password. proof is that of the Answer, which may be another Backend's of the same name.
type Validator interface {
	Valid(c *broker.Client, proof any) bool
}

// A Rechecker is a Backend that must ask somebody else to say so.
type Rechecker interface {
	Recheck(ctx context.Context, c *broker.Client, proof any) (bool, error)
}

// An Exchanger is a Backend for enhanced authentication (AUTH of MQTT 5). Its Check says NotMine.
type Exchanger interface {
	// Exchange begins one, or returns nil if it does not have the method.
	Exchange(ctx context.Context, c *broker.Client, method string) Exchange
}

// Exchange is one enhanced authentication.
type Exchange interface {
	// Next takes the client's data and returns what to send to it. A nil Answer says that the client has to say more.
	// Answer.Username is the name that was proved or, with Deny, that was to be.
	Next(ctx context.Context, data []byte) (reply []byte, a *Answer, err error)
}

// proof is what Authenticate keeps in broker.Client.Auth.
type proof struct {
	backend string // that let the client in; empty: allow_anonymous did
	value   any
}

// TransportName is the name of the link that accepts clients whom the transport has authenticated.
const TransportName = "transport"

// Transport returns the backend that accepts a client whose name comes from its certificate or its pre-shared key: the
// transport has proved it, so no password is asked for, as in Mosquitto with use_identity_as_username.
func Transport() Backend { return transport{} }

type transport struct{}

func (transport) Name() string { return TransportName }

func (transport) Check(_ context.Context, r *Request) (Answer, error) {
	t := r.Client.Transport
	switch {
	case t == nil || t.Username == "":
		return Unknown("the transport names nobody"), nil
	case t.PSKIdentity != "":
		return Answer{Verdict: Allow, Reason: "pre-shared key"}, nil
	}
	return Answer{Verdict: Allow, Reason: "client certificate"}, nil
}

// Valid is true: the connection is the one that was authenticated.
func (transport) Valid(*broker.Client, any) bool { return true }

// PasswordFileName is the name of the link that has the password file.
const PasswordFileName = "password_file"

// PasswordFile returns the backend that knows the users of a password file. Hashes are computed at g.
func PasswordFile(p *Passwords, g *Gate) Backend { return &passwordFile{p, g} }

type passwordFile struct {
	users *Passwords
	gate  *Gate
}

func (*passwordFile) Name() string { return PasswordFileName }

// Check takes as long for an unknown user as for a wrong password.
func (f *passwordFile) Check(ctx context.Context, r *Request) (Answer, error) {
	if !r.Client.HasUsername {
		return Unknown("no user name"), nil
	}
	h, known := f.users.candidate(r.Client.Username)
	if h == nil {
		return Unknown("unknown user"), nil
	}
	ok, err := f.gate.Matches(ctx, r, h)
	switch {
	case err != nil:
		return Answer{}, err
	case !known:
		return Unknown("unknown user"), nil
	case len(r.Password) == 0:
		return Denied("no password"), nil
	case !ok:
		return Denied("wrong password"), nil
	}
	return Answer{Verdict: Allow, Reason: "password", Proof: h.String()}, nil
}

// Valid reports whether the user exists, and has the hash that the password matched.
func (f *passwordFile) Valid(c *broker.Client, proof any) bool {
	h, known := f.users.users[c.Username]
	return known && proof == h.String()
}

// reasonOf returns what a client is told of a backend's error.
func reasonOf(err error) mqtt.ReasonCode {
	if code, ok := asReason(err); ok {
		return code
	}
	return mqtt.ServerUnavailable
}
