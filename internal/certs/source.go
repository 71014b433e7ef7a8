package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Source keeps the TLS configuration of one listener. Its methods may be called at the same time.
type Source struct {
	state  atomic.Pointer[state]
	config *tls.Config

	mu      sync.Mutex // one reload at a time; guards what follows
	options Options
	acme    *acmeManager
	seen    [sha256.Size]byte // what was read last, whether it was good or not
	paths   paths             // where to look for changes
	watch   *Watch
}

// Open reads everything that o names. The context ends the reading.
func Open(ctx context.Context, o Options) (*Source, error) {
	s := &Source{}
	s.config = &tls.Config{
		MinVersion: tls.VersionTLS12,
		Time:       o.Now,
		// The keys of session tickets belong to this Config, so that sessions outlive a reload.
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return s.state.Load().configFor(hello), nil },
	}
	if err := s.Replace(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

// Config is for tls.Server or for a listener on it. It is the same one for ever, and follows reloads.
func (s *Source) Config() *tls.Config { return s.config }

// Reload reads all files anew. On an error, what was in force stays in force.
func (s *Source) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.reload(ctx, s.options)
	return err
}

// Replace is Reload with other options.
func (s *Source) Replace(ctx context.Context, o Options) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.reload(ctx, o)
	return err
}

// reload reads what o names, and takes it if it is good. changed says whether anything is different from the last time. mu is held.
func (s *Source) reload(ctx context.Context, o Options) (changed bool, err error) {
	acme := s.acme
	if !sameACME(o.ACME, s.options.ACME) || (acme == nil && o.ACME != nil) {
		if acme, err = newACME(o.ACME); err != nil {
			return true, err
		}
	}
	st, l, err := load(ctx, &o, acme)
	changed = l.digest() != s.seen
	s.seen = l.digest()
	if err != nil {
		return changed, err
	}
	o.ALPN = slices.Clone(o.ALPN)
	s.options, s.acme = o, acme
	s.state.Store(st)
	s.paths = pathsOf(l.files, l.folders)
	if s.watch != nil {
		s.watch.poke() // it follows the new paths
	}
	return changed, nil
}

// configFor is the configuration for one handshake.
func (st *state) configFor(hello *tls.ClientHelloInfo) *tls.Config {
	if st.challenge != nil && isChallenge(hello) {
		return st.challenge
	}
	if speaks := func(p string) bool { return slices.Contains(st.config.NextProtos, p) }; !slices.ContainsFunc(hello.SupportedProtos, speaks) {
		return st.foreign // crypto/tls would refuse a client that offers other protocols alone
	}
	return st.config
}

// Verify checks the certificate of a client again whose handshake is over, against what is in force
// now.
func (s *Source) Verify(client tls.ConnectionState) error {
	verify := s.state.Load().config.VerifyConnection
	if verify == nil {
		return nil
	}
	client.VerifiedChains = nil // they were built from the authorities of then
	return verify(client)
}

// Certificates are those in force, and the revocation lists, in the order of the options.
func (s *Source) Certificates() []Info { return slices.Clone(s.state.Load().infos) }

// Warnings are about what is in force.
func (s *Source) Warnings() []Warning { return slices.Clone(s.state.Load().warnings) }

// Expiring are those of Certificates that end within ahead from now, or have ended.
func (s *Source) Expiring(now time.Time, ahead time.Duration) []Info {
	return slices.DeleteFunc(s.Certificates(), func(i Info) bool { return i.NotAfter.IsZero() || i.NotAfter.After(now.Add(ahead)) })
}

// MonthAhead is how long before the end of a certificate an operator should be told.
const MonthAhead = 30 * 24 * time.Hour
