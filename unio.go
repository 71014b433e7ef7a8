// Package unio is the whole broker: configuration in, running server out. It is the
// only package that knows every feature; package broker is the engine alone.
//
//	cfg, err := config.Load("unio.conf")
//	log, err := unio.OpenLog(cfg.Log)
//	s, err := unio.New(cfg, log.Logger)
//	err = s.Run(ctx) // until ctx ends
//
// A Server is a list of parts, which are made in Server.make; what each of them does is in a package of
// its own. Besides the goroutines of the engine a Server has one per listener, one each for $SYS, the
// memory limit and the daily look at certificates, those that ask about clients after a reload, and
// those of its backends and certificates, which follow their files. Shutdown waits for them all. A [Log]
// has one for each destination, until it is closed. The package handles no signals, and writes no files
// but the logs, the store, those of dynamic security and what ACME got: a process is the business of
// the command.
package unio

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/access"
	"github.com/uniomq/unio/internal/admin"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/control"
	"github.com/uniomq/unio/internal/heap"
	"github.com/uniomq/unio/internal/listening"
	"github.com/uniomq/unio/internal/metrics"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/internal/part"
	"github.com/uniomq/unio/store/disk"
)

// ShutdownTimeout is how long Run waits for its end to be clean.
const ShutdownTimeout = 10 * time.Second

// ListenError says which address could not be listened on, and why.
type ListenError = listening.Error

// ListenerName is what a listener is called in logs, and in what is stored of the messages that came by it.
func ListenerName(l config.Listener) string { return l.Name() }

// Server is one broker with its listeners.
type Server struct {
	// Version is what $SYS/broker/version says. It is set before Start.
	Version string
	// KeyLog gets the secrets of TLS connections in the format that NSS made usual, nil: nobody. It is set before Listen.
	KeyLog io.Writer
	// Sockets are open already, by the hand of a service manager. Each takes the place of one that a listener of the configuration would open,
	// which is told by its address and port, or path; one that no listener names is an error of Listen. They are set before Listen, and are the server's
	// from then on.
	Sockets []net.Listener
	// OwnsProcess says that the process is there for this server alone, as that of the command. Then
	// the server sets Go's memory limit (debug.SetMemoryLimit) by memory_limit, and collects garbage
	// when nothing goes on. Else it leaves the process alone; memory_limit is held all the same, by
	// the heap of the whole process. It is set before Start.
	OwnsProcess bool

	log      *slog.Logger
	observer *mosqlog.Observer
	broker   *broker.Broker
	control  *control.Endpoints
	store    *disk.Store // nil: nothing is kept

	// parts are all that the server is made of, in their order: from New on those that clients do not
	// come by, from Listen on all. The fields below are some of them.
	parts     part.List
	access    *access.Access
	engine    *engine
	memory    *heap.Watch
	sys       *metrics.Part
	listening *listening.Listening

	failed  chan error  // of a listener that ended by itself, or of the store
	running atomic.Bool // Start has succeeded
	closed  atomic.Bool // Shutdown was called, or Start has failed

	reloading sync.Mutex                    // held by Reload and Shutdown
	inForce   atomic.Pointer[config.Config] // stored by Reload
}

// New returns a server for a configuration that listens nowhere yet. It reads the
// password and ACL files; the error is a config.Errors if it is their fault. The server
// keeps cfg and does not change it. A nil log logs nothing. A configuration without
// listeners is an error.
func New(cfg *config.Config, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Listeners) == 0 {
		return nil, errors.New("unio: a configuration without listeners")
	}
	s := &Server{
		log: log, observer: mosqlog.NewObserver(log, cfg.ConnectionMessages),
		broker: broker.Make(), failed: make(chan error, 1),
	}
	s.make()
	p, err := s.parts.Prepare(cfg)
	if err != nil {
		return nil, err
	}
	for _, w := range p.Warnings {
		log.Warn(w.String())
	}
	s.inForce.Store(cfg)
	p.Use()
	return s, nil
}

// make makes the parts.
func (s *Server) make() {
	log, b := s.log, s.broker
	s.control = control.New(b)
	s.access = access.New(log, b, s.control)
	s.observer.TellDenials(s.access.Authorizer.Reason)
	s.engine = &engine{broker: b, options: s.options, open: s.openStore}
	s.memory = heap.New(log, b)
	s.sys = &metrics.Part{Log: log, Broker: b}
	s.listening = listening.New(listening.Options{
		Log: log, Broker: b, Failed: s.fail, Endpoints: s.endpoints,
		API: admin.Options{
			Authenticator: s.access.Authenticator, Authorizer: s.access.Authorizer, Vouched: auth.Vouched, Log: log,
			Denied: func(a broker.Access) { s.observer.Events(false).Denied(a) },
		},
	})
	s.parts = part.List{
		s.access, s.access.Audit, part.Setting(s.observe), s.engine, s.memory, s.sys, part.Setting(s.enableControl),
	}
}

// observe has the log tell of connections, or not.
func (s *Server) observe(cfg *config.Config) {
	s.observer.SetConnectionMessages(cfg.ConnectionMessages)
}

// options returns what the engine is told of a configuration.
func (s *Server) options(cfg *config.Config) broker.Options {
	o := broker.Options{
		Limits: limits(cfg), Authenticator: s.access.Authenticator, Authorizer: s.access.Authorizer, Interceptors: []broker.Interceptor{s.control},
		Events: broker.Tee(s.observer.Events(cfg.Log.Types&config.LogDebug != 0), broker.Events{Denied: s.access.Denied}),
	}
	if cfg.ExplainToClient {
		o.Explain = s.access.Authorizer.Reason
	}
	return o
}

// Listen opens all listeners. If one cannot be opened the error is a [*ListenError] and
// none is. Clients can connect, and wait for Start. It is called once.
func (s *Server) Listen() error {
	if s.listening.IsOpen() {
		return errors.New("unio: a server starts once")
	}
	if err := s.listening.Open(s.inForce.Load(), s.Sockets, s.KeyLog); err != nil {
		return err
	}
	s.parts = append(s.parts, s.listening, access.NewReview(s.log, s.broker, s.access))
	return nil
}

// Start serves the listeners, opens them first unless Listen has, and returns. A Server
// starts once. After an error it is closed, as by Shutdown.
func (s *Server) Start() error {
	if s.running.Load() || s.closed.Load() {
		return errors.New("unio: a server starts once")
	}
	err := s.start()
	if err != nil {
		return errors.Join(err, s.Shutdown(context.Background()))
	}
	s.running.Store(true)
	return nil
}

func (s *Server) start() error {
	if !s.listening.IsOpen() {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	s.sys.Version, s.memory.OwnsProcess = s.Version, s.OwnsProcess
	return s.parts.Start()
}

// Addrs returns the addresses that are listened on, those of a host name or of "all
// addresses" one by one; nil before Listen.
func (s *Server) Addrs() []net.Addr { return s.listening.Addrs() }

// Broker returns the engine, for what an embedder wants of it; nil before Start.
func (s *Server) Broker() *broker.Broker {
	if !s.running.Load() {
		return nil
	}
	return s.broker
}

// Wait returns nil when ctx ends, or the error of a listener that ended by itself, or of the store.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// Shutdown closes listeners and connections and waits for all goroutines, whatever fails. When ctx
// ends, clients are waited for no longer. It is called once, also for a server that was not started;
// a further call returns broker.ErrClosed.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.closed.CompareAndSwap(false, true) {
		if s.running.Load() {
			return broker.ErrClosed
		}
		return nil // Start has done it
	}
	s.reloading.Lock() // a reload that has begun ends first
	defer s.reloading.Unlock()
	return s.parts.Close(ctx)
}

// Run is Start, Wait and Shutdown.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	err := s.Wait(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShutdownTimeout)
	defer cancel()
	return errors.Join(err, s.Shutdown(last))
}
