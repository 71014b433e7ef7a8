// Package broker is the engine of an MQTT broker: connections, sessions, routing,
// retained messages and wills, for MQTT 3.1, 3.1.1 and 5.0. It has no configuration
// file, no log and no opinion on who may do what: hooks decide ([Authenticator],
// [Authorizer], [Interceptor]), [Events] observe, and a store.Store keeps what
// outlives a connection.
//
//	b, err := broker.New(broker.Options{})
//	l, err := net.Listen("tcp", "127.0.0.1:1883")
//	err = b.Serve(l)
//
// # The contract
//
// Route, commit, then acknowledge. One read from a socket may hold many packets. Each
// is routed as it is decoded: to connections, whose output is only appended to, and
// into a store transaction. Behind the last packet the transaction is committed once, the
// acknowledgements are released when the store says that it is durable, and
// every connection that got output is flushed once, or an event loop flushes it when it has read from others, too. See batch.go.
//
// # Goroutines
//
// A connection has one goroutine up to CONNACK, from its first bytes on if the broker has accepted it itself (SocketListener). From then on, on Linux, a few event loops read all bare sockets (engine.go); elsewhere, and
// where a layer such as TLS lies between, the goroutine parks in reads and runs the protocol on what it reads. Either way one owner at a time
// reads a connection, and Shutdown waits for its end. Other goroutines exist only while its socket is full (drain), while it is held up by a store or ends, or while an
// enhanced re-authentication runs.
// The broker has four more: one for keep alive, one for timers (session expiry, delayed wills), one that sweeps retained messages, and one that
// passes on what ended sessions leave behind (heirs.go).
//
// # Locks
//
// conn.mu comes before the locks inside store and topic; registry shards, timers, the keep alive
// wheel and the lobby lock alone, and so does a filterSet, which may come behind conn.mu. Never two
// of one kind. A held subscriber (see registry) is not a lock in this sense: its holder may wait.
// The Authorizer may be called with a connection's mutex held, and so may Events.Denied, Dropped
// and Sent; other hooks are not.
package broker

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/broker/internal/netio"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
	"github.com/uniomq/unio/topic"
)

// ErrClosed is returned by Serve after Shutdown.
var ErrClosed = errors.New("broker: closed")

// Broker routes messages between the connections of its listeners.
type Broker struct {
	options atomic.Pointer[Options] // replaced by Reconfigure; never changed
	store   store.Store

	index    *topic.Index[*subscriber]
	retained topic.Names[*retainedMessage]
	serial   atomic.Uint64 // of the newest retained message
	searches chan struct{} // has room for who searches retained messages in drain
	registry registry
	timers   timers
	heirs    heirs
	wheel    keepAliveWheel
	lobby    lobby
	engine   netio.Engine
	counters counters
	door     door
	slow     slow
	short    atomic.Bool  // of memory
	room     atomic.Int64 // bytes, see SetRoom
	mounts   mounts
	rechecks atomic.Uint64 // how often Recheck has begun

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections and the broker's own goroutines

	mu        sync.Mutex // guards the fields below
	closed    bool
	listeners map[net.Listener]*listener
	conns     map[*conn]struct{} // accepted, until they end
	lingering map[*conn]struct{} // they have ended, but for the socket
}

// New returns a broker that has recovered what its store keeps, and that listens nowhere yet. It is
// Make and Start.
func New(o Options) (*Broker, error) {
	b := Make()
	if err := b.Start(o); err != nil {
		return nil, err
	}
	return b, nil
}

// Make returns a broker without a store, so that hooks can be made that know it. Until Start it has
// no clients: Clients and Disconnect find none. Serve, Publish and Shutdown must not be called.
func Make() *Broker {
	b := &Broker{
		index:     topic.NewIndex[*subscriber](),
		listeners: make(map[net.Listener]*listener), conns: make(map[*conn]struct{}), lingering: make(map[*conn]struct{}),
	}
	b.setOptions(Options{})
	b.engine.NewRound = func() netio.Round { return new(round) }
	b.SetRoom(-1)
	b.searches = make(chan struct{}, searches())
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.registry.init()
	b.timers.init()
	b.heirs.init()
	b.wheel.init()
	return b
}

// Start puts the options in force, recovers what the store keeps, and begins to work. The error is
// the store's, which stays the caller's to close then. Start is called once.
func (b *Broker) Start(o Options) error {
	b.setOptions(o)
	b.store = o.Store
	if b.store == nil {
		b.store = memory.New()
	}
	r := store.Recovery{Now: time.Now(), Session: b.recoverSession, Retained: b.recoverRetained, Orphaned: b.bequeath}
	if err := b.store.Start(b.wake, r); err != nil {
		return err
	}
	b.wg.Add(4)
	go b.runHeirs()
	go b.runTimers()
	go b.runKeepAlive()
	go b.sweepRetained()
	return nil
}

// Serve accepts connections on l until Shutdown, which closes l, or until l fails.
func (b *Broker) Serve(l net.Listener) error { return b.ServeListener(l, ListenerOptions{}) }

// ServeListener is Serve with options for this listener.
// [MQTT-4.2.0-1]
func (b *Broker) ServeListener(l net.Listener, o ListenerOptions) error {
	ln := new(listener)
	ln.set(o)
	if !b.addListener(l, ln) {
		_ = l.Close()
		return ErrClosed
	}
	defer b.removeListener(l)
	for {
		nc, err := l.Accept()
		if err != nil {
			if b.isClosed() {
				return ErrClosed
			}
			if wait(b.ctx.Done(), err) {
				continue
			}
			return err
		}
		b.accept(nc, ln)
	}
}

// wait reports whether Accept failed for want of descriptors or the like, after a pause.
func wait(stop <-chan struct{}, err error) bool {
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() && !isResourceError(err) {
		return false
	}
	t := time.NewTimer(50 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}

func (b *Broker) addListener(l net.Listener, ln *listener) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.listeners[l] = ln
	b.mounts.note(ln)
	return true
}

func (b *Broker) removeListener(l net.Listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.listeners, l)
}

// Reconfigure replaces the limits, hooks and events of the options for all that happens from now on. What was agreed on
// with a connected client at CONNECT stays, and so does the Store.
func (b *Broker) Reconfigure(o Options) { b.setOptions(o) }

func (b *Broker) setOptions(o Options) {
	o.setDefaults()
	b.options.Store(&o)
}

// ReconfigureListener replaces the options of a listener that is served, for connections from now on.
func (b *Broker) ReconfigureListener(l net.Listener, o ListenerOptions) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ln := b.listeners[l]; ln != nil {
		ln.set(o)
		b.mounts.note(ln)
	}
}

// Clients returns the clients that are connected.
func (b *Broker) Clients() []*Client {
	b.mu.Lock()
	defer b.mu.Unlock()
	clients := make([]*Client, 0, len(b.conns))
	for c := range b.conns {
		if c.accepted.Load() {
			clients = append(clients, c.client)
		}
	}
	return clients
}

// WalkSubscriptions calls fn for each subscription of each session, in no order, until it returns false.
func (b *Broker) WalkSubscriptions(fn func(clientID string, s store.Subscription) bool) {
	b.index.Walk(func(filter string, s topic.Subscription[*subscriber]) bool {
		return fn(s.Key.clientID(), store.Subscription{Filter: filter, Options: s.Options, ID: s.ID})
	})
}

func (b *Broker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Shutdown stops the broker: listeners close, v5 clients get DISCONNECT with
// ServerShuttingDown, wills are published, sessions go to the store, and the store is closed.
// When ctx ends, clients that do not take what is still to be written to them are waited for no longer.
func (b *Broker) Shutdown(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	b.closed = true
	for l := range b.listeners {
		_ = l.Close()
	}
	conns := make([]*conn, 0, len(b.conns))
	for c := range b.conns {
		conns = append(conns, c)
	}
	b.mu.Unlock()

	for _, c := range conns {
		c.interrupt(mqtt.ServerShuttingDown)
	}
	b.cutLingering()
	b.cancel()
	done := make(chan struct{})
	go func() {
		b.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		for _, c := range conns {
			c.abort(ctx.Err())
		}
		<-done
	}
	b.passOnAll() // of sessions that have ended with this
	b.engine.Close()
	return b.store.Close()
}

// DisconnectClient is Disconnect for one connection: another one that has the client id meanwhile stays.
func (b *Broker) DisconnectClient(client *Client, cause error) bool {
	for _, c := range b.connsOf(client.ID) {
		if c.client == client {
			c.interrupt(cause)
			return true
		}
	}
	return false
}

// Disconnect closes the connection of a client, under each mount point that has one with the client
// id, and reports whether it was connected. The cause is a mqtt.ReasonCode, or wraps one, which a
// v5 client is told; [WithReason] adds a reason string.
func (b *Broker) Disconnect(clientID string, cause error) bool {
	conns := b.connsOf(clientID)
	for _, c := range conns {
		c.interrupt(cause)
	}
	return len(conns) > 0
}

// connOf returns the connection that has a session; nil: there is none.
func (b *Broker) connOf(key string) *conn {
	if sub := b.registry.find(key); sub != nil {
		return sub.conn.Load()
	}
	return nil
}
