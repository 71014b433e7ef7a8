package dynsec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/files"
)

// Topic is the endpoint of commands.
const Topic = "$CONTROL/dynamic-security/v1"

// Options configure a Security. Without Path there is none; the rest may be left out.
type Options struct {
	Path string // of the file
	// PasswordInitFile has the administrator's first password; it is read only to make the file.
	PasswordInitFile string
	LookupEnv        func(name string) (string, bool) // for PasswordVariable
	// MustExist makes it an error that the file is not there.
	MustExist bool
	Log       *slog.Logger
	// Gate is where hashes are computed; nil: one that Open makes.
	Gate Gate

	// Changed is called when Rules returns others than before.
	Changed func()
	// Clients returns those that are connected through listeners with this Security, and Disconnect disconnects one of them.
	Clients    func() []*broker.Client
	Disconnect func(c *broker.Client, cause error)
}

// A Gate computes hashes for clients, who may have to wait for their turn; an *auth.Gate is one.
type Gate interface {
	Matches(ctx context.Context, r *auth.Request, h *auth.Hash) (bool, error)
	NewHash(ctx context.Context, c *broker.Client, a auth.Algorithm, password []byte) (*auth.Hash, error)
}

// A Security is the content of one file, in force. Its methods may be called by many goroutines.
type Security struct {
	options Options
	made    []string
	rules   atomic.Pointer[acl.Rules]
	decoy   auth.Decoy // what the password of an unknown client is checked against

	requests sync.Mutex // held by who changes the content, from the first change until the file is written
	written  []byte     // what was last read from the file, or written to it; guarded by requests
	unsaved  bool       // the content is another one; guarded by requests

	mu      sync.RWMutex // guards what follows; it is held for no I/O
	content *content
	lastID  uint32
	unknown *acl.Rule // the only one of clients that the file does not have
	barred  *acl.Rule // of clients that are not let in
	control *acl.Rule // the last one of all others
}

// Open reads the file, or makes it. The error is a mistake.Errors if it is the file's fault.
func Open(o Options) (*Security, []mistake.Warning, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Gate == nil {
		o.Gate = auth.NewGate()
	}
	s := &Security{options: o}
	data, err := os.ReadFile(o.Path)
	if errors.Is(err, fs.ErrNotExist) && !o.MustExist {
		data, err = s.create()
	}
	if err != nil {
		return nil, nil, mistake.Errors{{File: o.Path, Msg: "dynamic security: " + err.Error()}}
	}
	c, warnings, err := load(o.Path, data)
	if err != nil {
		return nil, nil, err
	}
	s.fixedRules()
	s.use(c)
	s.written = data
	return s, warnings, nil
}

// create makes the first file and returns what it has written to it.
func (s *Security) create() ([]byte, error) {
	s.options.Log.Info("Dynamic security: " + s.options.Path + " is not there, and is made.")
	c, passwords, err := s.options.first()
	if err != nil {
		return nil, err
	}
	if passwords != nil {
		path := s.options.Path + ".pw"
		if err := files.Replace(path, passwords); err != nil {
			return nil, fmt.Errorf("write the first passwords: %w", err)
		}
		s.made = append(s.made, path)
		s.options.Log.Info("Dynamic security: the first passwords are in " + path + ".")
	}
	data := c.file()
	if err := files.Replace(s.options.Path, data); err != nil {
		return nil, fmt.Errorf("write the first file: %w", err)
	}
	s.made = append(s.made, s.options.Path)
	return data, nil
}

// Made returns the files that Open has made.
func (s *Security) Made() []string { return s.made }

// Rules returns the rules in force. Each change makes others.
func (s *Security) Rules() *acl.Rules { return s.rules.Load() }

// use replaces the content.
func (s *Security) use(c *content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content = c
	for _, own := range c.clients {
		if own.hash != nil {
			s.decoy.Like(own.hash)
			break
		}
	}
	for _, r := range c.roles {
		r.rules = s.rulesOf(r)
	}
	s.rules.Store(s.compile())
}

// A Reread is a file that was read again. One of Use and Discard ends it; until then no request is handled.
type Reread struct {
	security *Security
	content  *content // nil: the file is as before
	data     []byte
}

// Reread reads the file again. After an error, which is a mistake.Errors, all stays as it was.
func (s *Security) Reread() (*Reread, []mistake.Warning, error) {
	s.requests.Lock()
	data, err := os.ReadFile(s.options.Path)
	if err != nil {
		s.requests.Unlock()
		return nil, nil, mistake.Errors{{File: s.options.Path, Msg: "dynamic security: " + err.Error()}}
	}
	r := &Reread{security: s, data: data}
	if bytes.Equal(data, s.written) { // what could not be written holds on
		return r, nil, nil
	}
	var warnings []mistake.Warning
	if r.content, warnings, err = load(s.options.Path, data); err != nil {
		s.requests.Unlock()
		return nil, nil, err
	}
	return r, warnings, nil
}

// Use puts in force what was read. Options.Changed is not called.
func (r *Reread) Use() {
	defer r.security.requests.Unlock()
	if r.content != nil {
		r.security.use(r.content)
		r.security.written, r.security.unsaved = r.data, false
	}
}

// Discard leaves all as it was.
func (r *Reread) Discard() { r.security.requests.Unlock() }

// save writes the file, if it is not as the content. s.requests is held.
func (s *Security) save() error {
	if !s.unsaved {
		return nil
	}
	s.mu.RLock()
	data := s.content.file()
	s.mu.RUnlock()
	if err := files.Replace(s.options.Path, data); err != nil {
		return err
	}
	s.written, s.unsaved = data, false
	return nil
}

// Path returns the path of the file.
func (s *Security) Path() string { return s.options.Path }
