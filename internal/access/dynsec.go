package access

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/control"
	"github.com/uniomq/unio/internal/dynsec"
)

// dynamicSecurity is the dynamic security of all listeners: it puts the rules of files that change together with those that do not, and
// finds the file of who asks for a command.
type dynamicSecurity struct {
	log    *slog.Logger
	gate   *auth.Gate
	acl    *acl.Authorizer
	broker *broker.Broker
	dry    bool // files are only looked at

	listeners atomic.Pointer[map[string]*dynsec.Security] // never changed

	mu    sync.Mutex // guards what follows, and is held while rules are put together
	force *security
}

func newDynamicSecurity(log *slog.Logger, gate *auth.Gate, rules *acl.Authorizer, b *broker.Broker, endpoints *control.Endpoints) *dynamicSecurity {
	d := &dynamicSecurity{log: log, gate: gate, acl: rules, broker: b}
	d.listeners.Store(&map[string]*dynsec.Security{})
	endpoints.HandleThen(dynsec.Topic, d.handle)
	return d
}

// of returns the one of a listener, or nil.
func (d *dynamicSecurity) of(listener string) *dynsec.Security {
	return (*d.listeners.Load())[listener]
}

// handle answers a request with commands.
func (d *dynamicSecurity) handle(c *broker.Client, payload []byte) ([]byte, func() error) {
	s := d.of(c.Listener)
	if s == nil {
		return control.NotAvailable(), nil
	}
	return s.Handle(c, payload)
}

// use puts in force what was loaded.
func (d *dynamicSecurity) use(s *security) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.useRereads()
	d.force = s
	listeners := maps.Clone(s.dynsec)
	d.listeners.Store(&listeners)
	d.acl.Set(s.rules())
}

// changed puts rules in force that a command has changed.
func (d *dynamicSecurity) changed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.force != nil {
		d.acl.Set(d.force.rules())
	}
	d.broker.RejudgeLogins()
}

// clients returns who is connected through listeners with a Security.
func (d *dynamicSecurity) clients(s *dynsec.Security) []*broker.Client {
	return slices.DeleteFunc(d.broker.Clients(), func(c *broker.Client) bool { return d.of(c.Listener) != s })
}

func (d *dynamicSecurity) disconnect(c *broker.Client, cause error) {
	d.broker.DisconnectClient(c, cause)
}

// An opener opens files of dynamic security.
type opener struct {
	options dynsec.Options
	opened  map[string]*dynsec.Security // by path; those that are in force, at first
	reread  map[string]bool             // by path
	dynamic *dynamicSecurity            // nil: what is opened is only looked at
	dry     bool                        // a file that is not there gives a warning, and is not made
}

// opener returns one that goes on with the files in force.
func (d *dynamicSecurity) opener() *opener {
	if d.dry {
		return &opener{dry: true}
	}
	o := &opener{options: dynsec.Options{Log: d.log, LookupEnv: os.LookupEnv, Gate: d.gate}, opened: map[string]*dynsec.Security{}, reread: map[string]bool{}, dynamic: d}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.force != nil {
		for _, s := range d.force.dynsec {
			if s != nil {
				o.opened[s.Path()] = s
			}
		}
	}
	for path := range o.opened {
		o.reread[path] = true
	}
	return o
}

// openDynsec returns the one of a file, which is opened, or read again, once.
func (s *security) openDynsec(o *opener, from config.DynamicSecurity) (*dynsec.Security, error) {
	sec := o.opened[from.ConfigFile]
	switch {
	case sec != nil && o.reread[from.ConfigFile]:
		r, warnings, err := sec.Reread()
		if err != nil {
			return nil, err
		}
		o.reread[from.ConfigFile] = false
		s.rereads = append(s.rereads, r)
		s.warnings = append(s.warnings, warnings...)
		return sec, nil
	case sec != nil:
		return sec, nil
	}
	options := o.options
	options.Path, options.PasswordInitFile = from.ConfigFile, from.PasswordInitFile
	if o.dry {
		if _, err := os.Stat(options.Path); errors.Is(err, fs.ErrNotExist) {
			s.warnings = append(s.warnings, config.Warning{File: options.Path, Msg: "the file of dynamic security is not there; the broker will make it"})
			return nil, nil
		}
	}
	if d := o.dynamic; d != nil {
		options.Changed, options.Disconnect = d.changed, d.disconnect
		options.Clients = func() []*broker.Client { return d.clients(sec) }
	}
	sec, warnings, err := dynsec.Open(options)
	if err != nil {
		return nil, err
	}
	s.warnings = append(s.warnings, warnings...)
	if o.opened == nil {
		o.opened = map[string]*dynsec.Security{}
	}
	o.opened[options.Path] = sec
	return sec, nil
}

// useRereads puts in force what was read again.
func (s *security) useRereads() {
	for _, r := range s.rereads {
		r.Use()
	}
	s.rereads = nil
}

// discard leaves what is in force, unless use came before.
func (s *security) discard() {
	for _, r := range s.rereads {
		r.Discard()
	}
	s.rereads = nil
}

// rules returns the rules of all listeners as they are: those of the files, and those of dynamic security. What one denies, no other one can allow.
func (s *security) rules() acl.Options {
	o := acl.Options{Listeners: make(map[string][]*acl.Rules, len(s.acl.Listeners))}
	for listener, rules := range s.acl.Listeners {
		if d := s.dynsec[listener]; d != nil {
			rules = append(slices.Clip(rules), d.Rules())
		}
		o.Listeners[listener] = rules
	}
	return shared(o)
}

// MadeFiles returns the files that did not exist and were made: those of dynamic security. A process that changes its user gives them to that.
func (a *Access) MadeFiles() []string {
	var files []string
	for _, sec := range a.Dynamic() {
		if sec == nil {
			continue
		}
		for _, f := range sec.Made() {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files
}

// dynsecBackend is the link of a listener's chain that has the clients of dynamic security. It is the first one: who is known there is
// known by that alone. That a client is disabled, or bound to another client id, denies its connection by the rules too, so that it holds for
// those that the transport has named as well.
type dynsecBackend struct{ s *dynsec.Security }

// Name implements auth.Backend.
func (*dynsecBackend) Name() string { return "dynamic_security" }

// Check implements auth.Backend.
func (b *dynsecBackend) Check(ctx context.Context, r *auth.Request) (auth.Answer, error) {
	if t := r.Client.Transport; t != nil && t.Username != "" {
		return auth.Unknown("the transport names the client"), nil
	}
	return b.s.Check(ctx, r.Client, r.Password)
}

// Valid implements auth.Validator.
func (b *dynsecBackend) Valid(c *broker.Client, proof any) bool {
	return b.s.Valid(c, proof)
}

// Dynamic returns the dynamic security in force, by listener; nil for a listener that has none.
func (a *Access) Dynamic() map[string]*dynsec.Security { return *a.dynamic.listeners.Load() }

// Rules returns what the files of a configuration say, as Access has it, for who asks about rules alone.
func Rules(cfg *config.Config) (*acl.Authorizer, map[string]*dynsec.Security, error) {
	s, err := loadSecurity(cfg, nil, &opener{options: dynsec.Options{MustExist: true}})
	if err != nil {
		return nil, nil, err
	}
	return acl.New(s.rules()), s.dynsec, nil
}
