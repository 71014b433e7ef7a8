// Package unio is the whole broker: configuration in, running server out. It is the
// only package that knows every feature; package broker is the engine alone.
//
//	cfg, err := config.Load("unio.conf")
//	log, closer, err := unio.OpenLog(cfg.Log)
//	s, err := unio.New(cfg, log)
//	err = s.Run(ctx) // until ctx ends
//
// A Server has one goroutine per listener besides those of the engine; Shutdown
// waits for them all. It handles no signals and writes no files but those that the
// configuration names: a process is the business of the command.
package unio

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
)

// ShutdownTimeout is how long Run waits for its end to be clean.
const ShutdownTimeout = 10 * time.Second

// Server is one broker with its listeners.
type Server struct {
	cfg     *config.Config
	log     *slog.Logger
	options broker.Options

	broker    *broker.Broker
	listeners []*listener
	failed    chan error     // of a listener that ended by itself
	serving   sync.WaitGroup // one for each listener
}

// New returns a server for a configuration that listens nowhere yet. The server
// keeps cfg and does not change it. A nil log logs nothing. A configuration without
// listeners is an error.
func New(cfg *config.Config, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Listeners) == 0 {
		return nil, errors.New("unio: a configuration without listeners")
	}
	return &Server{
		cfg: cfg, log: log, failed: make(chan error, 1),
		options: broker.Options{Limits: limits(cfg), Events: mosqlog.Events(log, cfg.ConnectionMessages)},
	}, nil
}

// Start opens all listeners, then serves them, and returns. If one cannot be opened
// the error is a [*ListenError] and none is. A Server starts once.
func (s *Server) Start() error {
	if s.broker != nil {
		return errors.New("unio: server was started before")
	}
	listeners, err := openAll(s.cfg, s.log)
	if err != nil {
		return err
	}
	b, err := broker.New(s.options)
	if err != nil {
		closeAll(listeners)
		return err
	}
	s.broker, s.listeners = b, listeners
	for _, l := range listeners {
		s.serving.Go(func() { s.serve(l) })
	}
	return nil
}

// serve accepts connections until Shutdown or until the listener fails.
func (s *Server) serve(l *listener) {
	err := s.broker.ServeListener(l, l.options)
	if errors.Is(err, broker.ErrClosed) {
		return
	}
	select {
	case s.failed <- err:
	default: // another one failed first
	}
}

// Addrs returns the addresses that are listened on, those of a host name or of "all
// addresses" one by one; nil before Start.
func (s *Server) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// Broker returns the engine, for what an embedder wants of it; nil before Start.
func (s *Server) Broker() *broker.Broker { return s.broker }

// Wait returns nil when ctx ends, or the error of a listener that ended by itself.
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
		return nil
	}
	if err := s.broker.Shutdown(ctx); err != nil {
		return err
	}
	s.serving.Wait()
	return nil
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
