//go:build unix

package broker

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// stuck is a layer whose next write, once told so, waits for the test.
type stuck struct {
	*net.TCPConn
	stick        atomic.Bool
	writing, let chan struct{}
}

func (c *stuck) TryRead(sock io.Reader, p []byte) (int, error) { return sock.Read(p) }

func (c *stuck) TryWrite(sock io.Writer, p []byte) (int, error) {
	if c.stick.CompareAndSwap(true, false) {
		close(c.writing)
		<-c.let
	}
	return sock.Write(p)
}

func (*stuck) TryClose(io.Writer) {}

// sticking is a listener whose connections are stuck.
type sticking struct {
	net.Listener
	accepted chan *stuck
}

func (l sticking) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := &stuck{TCPConn: c.(*net.TCPConn), writing: make(chan struct{}), let: make(chan struct{})}
	l.accepted <- s
	return s, nil
}

// TestShutdownWaitsForWhoWrites has the embedder write to a client that leaves meanwhile: nothing
// but that write has the connection then.
func TestShutdownWaitsForWhoWrites(t *testing.T) {
	t.Parallel()
	inner, dial := listenTCP(t, false)
	l := sticking{inner, make(chan *stuck, 1)}
	gone := make(chan struct{})
	b, err := New(Options{Events: Events{Disconnected: func(*Client, error) { close(gone) }}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	nc, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	layer := <-l.accepted
	exchange(t, nc, &mqtt.Connect{ClientID: "c", CleanStart: true})
	exchange(t, nc, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t"}}})
	for c := b.registry.find("c").conn.Load(); c.isWriting(); { // SUBACK was written, and that may not be known yet
		runtime.Gosched()
	}
	layer.stick.Store(true)
	written := make(chan error, 1)
	go func() { written <- b.Publish(&store.Message{Topic: "t"}) }()
	<-layer.writing
	_ = nc.Close()
	<-gone
	down := make(chan error, 1)
	go func() { down <- b.Shutdown(context.Background()) }()
	if err := <-served; err != ErrClosed {
		t.Error(err)
	}
	select {
	case err := <-down:
		t.Error("Shutdown has returned before the write")
		down <- err
	case <-time.After(50 * time.Millisecond): // enough to do so
	}
	close(layer.let)
	if err := <-written; err != nil {
		t.Error(err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func (c *conn) isWriting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing
}

// heldCommits is a store whose commits wait for the test, from when it says so.
type heldCommits struct {
	store.Store
	hold atomic.Bool
	held chan *store.Tx
}

func (s *heldCommits) Commit(tx *store.Tx) {
	if s.hold.Load() {
		s.held <- tx
		return
	}
	s.Store.Commit(tx)
}

// TestNothingIsAcknowledgedToAConnectionThatIsGone: its client has taken nothing, or the power of the
// network was cut, while the store was busy. What the store says then finds no connection to wait for.
func TestNothingIsAcknowledgedToAConnectionThatIsGone(t *testing.T) {
	t.Parallel()
	for _, d := range doorways {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := &heldCommits{Store: memory.New(), held: make(chan *store.Tx, 1)}
			o := d.o
			o.Store = s
			b, connect := d.open(t, o)
			nc := connect()
			exchange(t, nc, &mqtt.Connect{ClientID: "c", CleanStart: true})
			c := b.registry.find("c").conn.Load()
			s.hold.Store(true)
			if _, err := nc.Write((&mqtt.Publish{QoS: 1, PacketID: 1, Retain: true, Topic: []byte("t"), Payload: []byte("x")}).Append(nil, mqtt.V5)); err != nil {
				t.Fatal(err)
			}
			tx := <-s.held
			s.hold.Store(false)
			c.abort(errWriteTimeout)
			s.Store.Commit(tx)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.out != nil {
				t.Errorf("%d bytes are to be written", c.out.Size())
			}
		})
	}
}
