package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/httpfiles"
)

// Defaults of [Options], and limits.
const (
	DefaultMaxConnections = 100
	DefaultTimeout        = 10 * time.Second

	MaxHeaderBytes = 16 << 10 // of a request's line and headers together; net/http adds 4 KiB
	MaxBodyBytes   = 64 << 10
	IdleTimeout    = time.Minute // between two requests
)

// Options configure a [Server]. The zero value serves everybody.
type Options struct {
	Listener      string                                    // its name, for Authenticator and Authorizer
	Identify      func(net.Conn) (*broker.Transport, error) // what the layers below HTTP know of a client; nil: nothing
	Authenticator broker.Authenticator                      // nil: everybody is let in
	Authorizer    broker.Authorizer                         // nil: everything is allowed
	Vouched       func(*broker.Client) bool                 // whether somebody vouches for a client that was let in; nil: nobody does
	Denied        func(broker.Access)                       // is told what the Authorizer denies; nil: nobody is
	HTTPDir       string                                    // a folder with files to serve; empty: none
	Log           *slog.Logger                              // for logins that fail, and panics; nil: nothing is logged

	// MaxConnections is how many may be open at once; who comes beyond is closed at once. 0: DefaultMaxConnections.
	MaxConnections int
	// Timeout is how long each of these may take: a handshake, a request, and the check of a password. The whole answer may take twice as long,
	// and a file as long as its size needs. 0: DefaultTimeout.
	Timeout time.Duration
}

// An Endpoint is something that the API answers.
type Endpoint struct {
	// Pattern is one of net/http's mux, with a method, and a path below /api/: "GET /api/v1/version". GET serves HEAD, too. With another method
	// it is taken to change something.
	Pattern string
	Handler http.Handler
	// Public endpoints are open to clients that nobody vouches for, if the listener and the rules let them.
	Public bool
}

// Server is the HTTP API of one listener.
type Server struct {
	o         Options
	mux       *http.ServeMux
	endpoints map[string]Endpoint // by pattern
	csrf      *http.CrossOriginProtection
	server    http.Server

	mu    sync.Mutex // guards open
	open  int        // connections
	wg    sync.WaitGroup
	close sync.Once
}

// New returns a server without endpoints. It fails when HTTPDir is not a folder that can be read.
func New(o Options) (*Server, error) {
	if o.MaxConnections <= 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.HTTPDir != "" {
		if err := (httpfiles.Dir{Path: o.HTTPDir}).Check(); err != nil {
			return nil, err
		}
	}
	s := &Server{o: o, mux: http.NewServeMux(), endpoints: map[string]Endpoint{}, csrf: http.NewCrossOriginProtection()}
	s.mux.HandleFunc("GET /", s.file)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.server = http.Server{
		Handler:                      http.HandlerFunc(s.serve),
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ReadTimeout:                  o.Timeout,
		WriteTimeout:                 2 * o.Timeout,
		IdleTimeout:                  IdleTimeout,
		MaxHeaderBytes:               MaxHeaderBytes,
		ConnState:                    s.stateChanged,
		ConnContext:                  func(ctx context.Context, nc net.Conn) context.Context { return context.WithValue(ctx, connKey{}, nc) },
		ErrorLog:                     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // clients could fill the log; serve tells of panics
	}
	return s, nil
}

// Mount adds endpoints. It must not come behind Serve.
func (s *Server) Mount(endpoints ...Endpoint) {
	for _, e := range endpoints {
		s.endpoints[e.Pattern] = e
		s.mux.Handle(e.Pattern, e.Handler)
	}
}

// connKey is the context key of a request's *conn.
type connKey struct{}

// Serve accepts connections on l until Close, which closes l, or until l fails. After Close the error is nil.
func (s *Server) Serve(l net.Listener) error {
	err := s.server.Serve(acceptor{l, s})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("HTTP API: %w", err)
}

// Close closes the listener and all connections, and waits for their goroutines. It may be called again.
func (s *Server) Close() {
	s.close.Do(func() { _ = s.server.Close() }) // what the listener has to say does not matter any more
	s.wg.Wait()
}

// stateChanged counts the goroutines of net/http: each connection has one from StateNew to StateClosed.
func (s *Server) stateChanged(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.wg.Add(1)
	case http.StateClosed:
		s.wg.Done()
	default:
	}
}

// enter reports whether there is room for one more connection.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.o.MaxConnections {
		return false
	}
	s.open++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}
