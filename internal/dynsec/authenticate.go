package dynsec

import (
	"context"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// Verdict is what Check says.
type Verdict uint8

// The verdicts.
const (
	NotMine Verdict = iota // the file has no such client
	Allow
	Deny
)

// An Answer is what Check says of a client, and why. Reason never holds a secret.
type Answer struct {
	Verdict    Verdict
	Reason     string
	Attributes map[string][]string // for broker.Client.Attributes: its groups and roles
	Proof      string              // for Valid
}

// Check judges a client by its user name, password and client id; a nil password is none. It takes as long for an unknown client as
// for a wrong password. After an error it cannot be said.
func (s *Security) Check(ctx context.Context, c *broker.Client, password []byte) (Answer, error) {
	if !c.HasUsername || password == nil {
		return Answer{Reason: "no user name, or no password"}, nil
	}
	s.mu.RLock()
	own := s.content.clients[c.Username]
	hash := s.dummy
	if own != nil && own.hash != nil {
		hash = own.hash
	}
	s.mu.RUnlock()
	ok, err := s.options.Match(ctx, hash, password)
	if err != nil {
		return Answer{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	own = s.content.clients[c.Username] // it may have changed meanwhile
	switch {
	case own == nil:
		return Answer{Reason: "unknown client"}, nil
	case own.hash == nil:
		return Answer{Verdict: Deny, Reason: "the client has no password"}, nil
	case own.hash != hash || !ok:
		return Answer{Verdict: Deny, Reason: "wrong password"}, nil
	}
	if why := own.bars(c); why != "" {
		return Answer{Verdict: Deny, Reason: why}, nil
	}
	return Answer{Verdict: Allow, Reason: "password", Attributes: own.attributes(), Proof: hash.String()}, nil
}

// bars says why a client with the right password is not let in; empty: it is.
func (c *client) bars(who *broker.Client) string {
	switch {
	case c.disabled:
		return "the client is disabled"
	case c.clientID != "" && c.clientID != who.ID:
		return "the client has another client id"
	}
	return ""
}

// Attributes returns the groups and roles of a client; nil: it is unknown.
func (s *Security) Attributes(username string) map[string][]string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if own := s.content.clients[username]; own != nil {
		return own.attributes()
	}
	return nil
}

// Valid reports whether a client that Check let in would be let in still, as far as that can be said without its password. proof is
// that of the Answer.
func (s *Security) Valid(c *broker.Client, proof string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	own := s.content.clients[c.Username]
	return own != nil && own.hash != nil && own.hash.String() == proof && own.bars(c) == ""
}

// dummy returns a hash that no password has, and that takes as long to check as that of some client.
func (s *content) dummy() *auth.Hash {
	for _, c := range s.clients {
		if c.hash == nil {
			continue
		}
		text := c.hash.String()
		at := strings.LastIndexByte(text, '$') + 1
		sum := strings.Repeat("A", len(strings.TrimRight(text[at:], "="))) + strings.Repeat("=", strings.Count(text[at:], "="))
		if h, err := auth.ParseHash(text[:at] + sum); err == nil {
			return h
		}
	}
	h, err := auth.NewHash(auth.PBKDF2, 0, []byte("nobody's"))
	if err != nil {
		panic("dynsec: " + err.Error()) // the parameters are the usual ones
	}
	return h
}

// newHash hashes a password in the format of the file.
func (s *Security) newHash(password string) (*auth.Hash, error) {
	s.mu.RLock()
	algorithm := auth.Argon2id
	if s.content.triples {
		algorithm = auth.PBKDF2
	}
	s.mu.RUnlock()
	return auth.NewHash(algorithm, 0, []byte(password))
}
