package wiring

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/scram"
)

// Maker makes backends, and keeps those in force.
type Maker struct {
	gate   *auth.Gate
	failed func(error) // told of what goes wrong in the background
	kept   map[[sha256.Size]byte]auth.Backend
}

// NewMaker returns a Maker. All hashes are computed at gate; failed, which may be nil, is told of what goes wrong in the background.
func NewMaker(gate *auth.Gate, failed func(error)) *Maker { return &Maker{gate: gate, failed: failed} }

// Build are the backends of one configuration. One goroutine uses it, and ends it with Keep or Discard.
type Build struct {
	maker    *Maker
	cfg      *config.Config
	made     map[[sha256.Size]byte]auth.Backend // by what they are made of
	wrapped  map[wrapKey]auth.Backend
	mistakes config.Errors
	warnings []config.Warning
}

// wrapKey names a backend with what bounds it.
type wrapKey struct {
	auth.Backend
	auth.RemoteOptions
}

// Begin begins with a configuration.
func (m *Maker) Begin(cfg *config.Config) *Build {
	return &Build{maker: m, cfg: cfg, made: map[[sha256.Size]byte]auth.Backend{}, wrapped: map[wrapKey]auth.Backend{}}
}

// Keep puts the backends in force. Those that are not in force any more are the auth.Authenticator's to close.
func (b *Build) Keep() { b.maker.kept = b.made }

// Discard closes the backends that are not in force.
func (b *Build) Discard() {
	for key, backend := range b.made {
		if c, ok := backend.(io.Closer); ok && b.maker.kept[key] == nil {
			_ = c.Close() // nothing is lost
		}
	}
}

// Mistakes returns what is wrong with the options of all listeners so far.
func (b *Build) Mistakes() config.Errors { return b.mistakes }

// Warnings returns what in them may surprise.
func (b *Build) Warnings() []config.Warning { return b.warnings }

// Chain returns the chain of a listener, given by its index; passwords are those of its password file, or nil.
func (b *Build) Chain(i int, passwords *auth.Passwords) []auth.Backend {
	l := &b.cfg.Listeners[i]
	x := &listener{Build: b, index: i, auth: l.Auth}
	makers := map[string]func(){"jwt": x.jwt, "sql": x.sql, "redis": x.redis, "ldap": x.ldap, "http": x.http, "scram": x.scram}
	chain := []auth.Backend{}
	for _, name := range l.Links() {
		x.backend = nil
		switch name {
		case auth.TransportName:
			x.backend = auth.Transport()
		case auth.PasswordFileName:
			if l.PasswordFile == "" {
				x.wrong("auth_chain", errors.New("expected a password_file for password_file"))
			} else if passwords != nil { // else it has a mistake that was told
				x.backend = auth.PasswordFile(passwords, b.maker.gate)
			}
		default:
			makers[name]()
		}
		if x.backend != nil {
			chain = append(chain, x.backend)
		}
	}
	return chain
}

// listener makes the chain of one listener.
type listener struct {
	*Build
	index   int
	auth    *config.Auth
	backend auth.Backend // the one that was made last
}

// wrong notes a mistake in an option.
func (x *listener) wrong(option string, err error) {
	at := x.cfg.Origin(option, x.index)
	if at.File == "" {
		at.File = "configuration"
	}
	m := &config.Error{File: at.File, Line: at.Line, Option: option, Msg: err.Error()}
	if !slices.ContainsFunc(x.mistakes, func(old *config.Error) bool { return *old == *m }) { // two listeners have the line
		x.mistakes = append(x.mistakes, m)
	}
}

func (x *listener) warn(option, msg string) {
	at := x.cfg.Origin(option, x.index)
	if w := (config.Warning{File: at.File, Line: at.Line, Option: option, Msg: msg}); !slices.Contains(x.warnings, w) {
		x.warnings = append(x.warnings, w)
	}
}

// use returns the backend that is made of parts already, or makes it.
func (x *listener) use(option string, parts string, make func() (auth.Backend, error)) auth.Backend {
	key := sha256.Sum256([]byte(parts))
	b := x.made[key]
	if b == nil {
		b = x.maker.kept[key]
	}
	if b == nil {
		var err error
		if b, err = make(); err != nil {
			x.wrong(option, err)
			return nil
		}
	}
	x.made[key] = b
	return b
}

// remote is use for a backend that asks somebody else.
func (x *listener) remote(option, parts string, make func() (auth.Backend, error)) {
	b := x.use(option, parts, make)
	if b == nil {
		return
	}
	key := wrapKey{b, auth.RemoteOptions{
		Timeout: x.auth.Timeout, CacheSize: x.auth.CacheSize, CacheTime: x.auth.CacheTime, CacheTimeFailed: x.auth.CacheTimeFailed,
	}}
	if x.wrapped[key] == nil {
		x.wrapped[key] = auth.Remote(b, key.RemoteOptions)
	}
	x.backend = x.wrapped[key]
}

// scram reads the file each time: what it says is the backend.
func (x *listener) scram() {
	path := x.auth.SCRAMFile
	if path == "" {
		x.wrong("auth_chain", errors.New("expected an auth_scram_file for scram"))
		return
	}
	f, err := scram.Load(path)
	var mistakes config.Errors
	switch {
	case err == nil:
		x.backend = scram.New(f)
		for _, w := range f.Warnings() {
			x.warn("auth_scram_file", path+": "+w)
		}
	case errors.As(err, &mistakes) && len(mistakes) > 0 && mistakes[0].Line > 0:
		x.mistakes = append(x.mistakes, mistakes...)
	default:
		x.wrong("auth_scram_file", err)
	}
}

// given reports whether an option that a backend cannot do without is there.
func (x *listener) given(name, option string, there bool) bool {
	if !there {
		x.wrong("auth_chain", fmt.Errorf("expected an %s for %s", option, name))
	}
	return there
}
