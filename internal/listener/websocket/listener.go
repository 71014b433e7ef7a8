package websocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/uniomq/unio/internal/httpfiles"
)

// Defaults of [Options].
const (
	DefaultMaxFrame         = 256 << 20 // what MQTT allows a packet to have, rounded up
	DefaultMaxHeaderBytes   = 16 << 10
	DefaultHandshakeTimeout = 10 * time.Second
)

// Options configures a [Listener]. The zero value works.
type Options struct {
	// Origins are the allowed values of the Origin header, compared as they are (websockets_origin). Empty: any, and
	// none. Otherwise a request with another Origin, or without, is closed without an answer.
	Origins []string
	// HTTPDir is a folder whose files are served to requests that are no upgrade (http_dir). Empty: none are.
	HTTPDir string
	// MaxFrame is the most bytes of payload that a client may announce for a data frame. A frame may carry several packets,
	// so it should be well above the packet size limit. 0: DefaultMaxFrame.
	MaxFrame int64
	// MaxHeaderBytes bounds a request's line and headers together; net/http adds 4 KiB. 0: DefaultMaxHeaderBytes.
	MaxHeaderBytes int
	// HandshakeTimeout is how long all of these may take together: handshakes of the layers below,
	// the first request, and the answer if that is an upgrade; and how long each of these: another
	// request, another answer, and the silence between two requests. What an upgraded connection
	// has used of it, [Conn.Began] tells. 0: DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration
	// Proxies are those whose X-Forwarded-For says the client's address. A connection without an IP
	// address, one of a Unix socket, is taken for one of them if there are any. Empty: the header
	// counts for nothing, whoever sends it.
	Proxies []netip.Prefix
	// Disbelieved is called the first time that X-Forwarded-For comes from somebody else: it may be
	// a proxy that nobody has named. nil: nobody is told.
	Disbelieved func(peer net.Addr)
	// Refused is called for each connection that ends without an upgrade because of what the client sent or failed to send,
	// from several goroutines at a time. nil: nobody is told.
	Refused func(client net.Addr, cause error)
}

// Listener is a net.Listener whose connections are [*Conn].
type Listener struct {
	inner    net.Listener
	o        Options
	server   http.Server
	upgraded chan *Conn
	close    sync.Once
	doubt    sync.Once      // calls Disbelieved
	closing  chan struct{}  // closed when Close was called
	ended    chan struct{}  // closed when net/http accepts no more, and err is set
	err      error          // why
	wg       sync.WaitGroup // the accepting goroutine and those of net/http's connections
}

var _ net.Listener = (*Listener)(nil)

// New begins to accept on inner, which the Listener then owns. It fails when HTTPDir is not a folder that can be read, and
// leaves inner open then.
func New(inner net.Listener, o Options) (*Listener, error) {
	if o.MaxFrame <= 0 {
		o.MaxFrame = DefaultMaxFrame
	}
	if o.MaxHeaderBytes <= 0 {
		o.MaxHeaderBytes = DefaultMaxHeaderBytes
	}
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if o.HTTPDir != "" {
		if err := (httpfiles.Dir{Path: o.HTTPDir}).Check(); err != nil {
			return nil, err
		}
	}
	l := &Listener{
		inner: inner, o: o,
		upgraded: make(chan *Conn), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // RFC 8441, WebSocket over HTTP/2, is not offered
	l.server = http.Server{
		Handler:                      http.HandlerFunc(l.serve),
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ReadTimeout:                  o.HandshakeTimeout,
		WriteTimeout:                 o.HandshakeTimeout,
		IdleTimeout:                  o.HandshakeTimeout,
		MaxHeaderBytes:               o.MaxHeaderBytes,
		ConnState:                    l.stateChanged,
		ConnContext:                  func(ctx context.Context, nc net.Conn) context.Context { return context.WithValue(ctx, connKey{}, nc) },
		ErrorLog:                     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // Refused tells what matters
	}
	l.wg.Go(func() {
		l.err = l.server.Serve(acceptor{l})
		if errors.Is(l.err, http.ErrServerClosed) {
			l.err = net.ErrClosed
		}
		close(l.ended)
	})
	return l, nil
}

// connKey is the context key of a request's *httpConn.
type connKey struct{}

// Accept returns the next upgraded connection, a *Conn. It fails with net.ErrClosed after Close, and with the error of the
// listener below when that fails.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.upgraded:
		return c, nil
	case <-l.closing:
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
	case <-l.ended:
		return nil, fmt.Errorf("accept: %w", l.err)
	}
}

// Addr returns the address of the listener below.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close closes the listener below and every connection that Accept has not returned, and waits for their goroutines.
func (l *Listener) Close() error {
	err := error(&net.OpError{Op: "close", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed})
	l.close.Do(func() {
		close(l.closing)
		err = l.inner.Close()
		_ = l.server.Close() // closes inner again
	})
	l.wg.Wait()
	return err
}

// stateChanged counts the goroutines of net/http: each connection has one from StateNew, which comes before it starts, to
// StateClosed, the last thing that it does. That of an upgraded connection goes on to the end of serve.
func (l *Listener) stateChanged(nc net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		l.wg.Add(1)
	case http.StateIdle:
		nc.(*httpConn).idle = true
	case http.StateClosed:
		defer l.wg.Done()
		hc := nc.(*httpConn)
		if cause := hc.failure(); cause != nil {
			l.refused(hc.RemoteAddr(), cause)
		}
	default:
	}
}

func (l *Listener) refused(client net.Addr, cause error) {
	select {
	case <-l.closing: // it is not the client's fault
	default:
		if l.o.Refused != nil {
			l.o.Refused(client, cause)
		}
	}
}
