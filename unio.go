// Package unio is the whole broker: configuration in, running server out. It is the
// only package that knows every feature; package broker is the engine alone.
//
//	cfg, err := config.Load("unio.conf")
//	log, err := unio.OpenLog(cfg.Log)
//	s, err := unio.New(cfg, log.Logger)
//	err = s.Run(ctx) // until ctx ends
//
// Besides those of the engine a Server has one goroutine per listener, one each for $SYS, the memory limit and the daily look at
// certificates, those of recheck after a reload, and those of its backends and certificates, which follow their files; Shutdown
// waits for them all. A [Log] has one more, until it is closed. The package handles no signals, and writes no files but the logs,
// the store, those of dynamic security and what ACME got: a process is the business of the command.
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
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/control"
	"github.com/uniomq/unio/internal/metrics"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/store/disk"
)

// ShutdownTimeout is how long Run waits for its end to be clean.
const ShutdownTimeout = 10 * time.Second

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

	log      *slog.Logger
	observer *mosqlog.Observer
	who      *authentication
	acl      *acl.Authorizer
	dynsec   *dynamicSecurity
	control  *control.Endpoints
	noDelay  atomic.Bool

	waiting   waiting
	broker    *broker.Broker
	store     *disk.Store // nil: nothing is kept
	sys       *metrics.SysTree
	opened    []config.Listener
	listeners []*listener    // their sockets
	failed    chan error     // of a listener that ended by itself, or of the store
	serving   sync.WaitGroup // one for each listener, one for memory, one for certificates, one for each recheck
	done      chan struct{}  // closed by Shutdown

	memoryLimit atomic.Int64

	reloading sync.Mutex                    // held by Reload
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
	who, endpoints, rules := newAuthentication(log), control.New(), acl.New(acl.Options{})
	dynamic := newDynamicSecurity(log, who.gate, rules, endpoints)
	build := who.maker.Begin(cfg)
	security, err := loadSecurity(cfg, build, dynamic.opener())
	if err != nil {
		return nil, err
	}
	file, err := who.openAudit(cfg.AuditLog)
	if err != nil {
		build.Discard()
		return nil, err
	}
	if err := who.audit.use(file); err != nil {
		return nil, err
	}
	who.use(security, build)
	dynamic.use(security)
	for _, w := range security.warnings {
		log.Warn(w.String())
	}
	s := &Server{
		log: log, observer: mosqlog.NewObserver(log, cfg.ConnectionMessages),
		who: who, acl: rules, dynsec: dynamic, control: endpoints,
		failed: make(chan error, 1), done: make(chan struct{}),
	}
	s.inForce.Store(cfg)
	s.observer.TellDenials(s.acl.Reason)
	s.noDelay.Store(cfg.SetTCPNoDelay)
	s.memoryLimit.Store(cfg.MemoryLimit)
	return s, nil
}

// options returns what the engine is told of a configuration.
func (s *Server) options(cfg *config.Config) broker.Options {
	o := broker.Options{
		Limits: limits(cfg), Authenticator: s.who.auth, Authorizer: s.acl, Interceptors: []broker.Interceptor{s.control},
		Events: broker.Tee(s.observer.Events(cfg.Log.Types&config.LogDebug != 0), broker.Events{Denied: s.denied}),
	}
	if cfg.ExplainToClient {
		o.Explain = s.acl.Reason
	}
	return o
}

// Listen opens all listeners. If one cannot be opened the error is a [*ListenError] and
// none is. Clients can connect, and wait for Start. It is called once.
func (s *Server) Listen() error {
	if s.listeners != nil {
		return errors.New("unio: server was started before")
	}
	listeners, err := s.openAll()
	s.opened, s.listeners = s.inForce.Load().Listeners, listeners
	return err
}

// Start serves the listeners, opens them first unless Listen has, and returns. A Server
// starts once.
func (s *Server) Start() error {
	if s.broker != nil {
		return errors.New("unio: server was started before")
	}
	if s.listeners == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	o := s.options(s.inForce.Load())
	var err error
	if o.Store, err = s.openStore(); err != nil {
		closeAll(s.listeners)
		return err
	}
	b, err := broker.New(o)
	if err != nil {
		closeAll(s.listeners)
		if o.Store != nil {
			err = errors.Join(err, o.Store.Close())
		}
		return err
	}
	s.broker = b
	s.waiting.broker.Store(b)
	s.dynsec.broker.Store(b)
	s.control.Attach(b)
	s.enableControl(s.inForce.Load().EnableControlAPI)
	s.watchDoors()
	s.serving.Go(s.watchMemory)
	s.sys = metrics.New(metrics.Options{Broker: b, Interval: s.inForce.Load().SysInterval, Version: s.Version, Log: s.log})
	s.sys.Start()
	s.mountAPIs()
	for _, l := range s.listeners {
		s.serving.Go(func() { s.serve(l) })
		<-l.served // so that Reload reaches it
	}
	return nil
}

// serve accepts connections until Shutdown or until the listener fails.
func (s *Server) serve(l *listener) {
	if l.api != nil {
		if err := l.api.Serve(l); err != nil {
			s.fail(err)
		}
		return
	}
	err := s.broker.ServeListener(l, l.options)
	if errors.Is(err, broker.ErrClosed) {
		return
	}
	s.fail(err)
}

// Addrs returns the addresses that are listened on, those of a host name or of "all
// addresses" one by one; nil before Listen.
func (s *Server) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// Broker returns the engine, for what an embedder wants of it; nil before Start.
func (s *Server) Broker() *broker.Broker { return s.broker }

// Wait returns nil when ctx ends, or the error of a listener that ended by itself, or of the store.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// Shutdown closes listeners and connections and waits for all goroutines, until ctx
// ends.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.broker == nil {
		closeAll(s.listeners)
		return s.who.close()
	}
	s.closeAPIs()
	s.sys.Close()
	s.closeDoors()
	s.who.endRecheck()
	if err := s.broker.Shutdown(ctx); err != nil {
		return err
	}
	close(s.done)
	s.serving.Wait()
	return s.who.close()
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
