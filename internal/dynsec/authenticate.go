package dynsec

import (
	"context"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// Check judges a client by its user name, password and client id; a nil password is none. It takes as long for an unknown client as
// for a wrong password. After an error it cannot be said.
func (s *Security) Check(ctx context.Context, c *broker.Client, password []byte) (auth.Answer, error) {
	if !c.HasUsername || password == nil {
		return auth.Unknown("no user name, or no password"), nil
	}
	var hash *auth.Hash
	s.mu.RLock()
	if own := s.content.clients[c.Username]; own != nil {
		hash = own.hash
	}
	s.mu.RUnlock()
	if hash == nil {
		hash = s.decoy.Hash()
	} else {
		s.decoy.Like(hash)
	}
	ok, err := s.options.Gate.Matches(ctx, &auth.Request{Client: c, Password: password}, hash)
	if err != nil {
		return auth.Answer{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	own := s.content.clients[c.Username] // it may have changed meanwhile
	switch {
	case own == nil:
		return auth.Unknown("unknown client"), nil
	case own.hash == nil, len(password) == 0: // a file may have the hash of an empty password
		return auth.Denied("the client has no password"), nil
	case own.hash != hash || !ok:
		return auth.Denied("wrong password"), nil
	}
	if why := own.bars(c); why != "" {
		return auth.Denied(why), nil
	}
	return auth.Answer{Verdict: auth.Allow, Reason: "password", Attributes: own.attributes(), Proof: hash.String()}, nil
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
func (s *Security) Valid(c *broker.Client, proof any) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	own := s.content.clients[c.Username]
	return own != nil && own.hash != nil && own.hash.String() == proof && own.bars(c) == ""
}

// fileAlgorithm is that of new hashes, which follows from the format of the file.
func (s *Security) fileAlgorithm() auth.Algorithm {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.content.triples {
		return auth.PBKDF2
	}
	return auth.Argon2id
}
