// Command sessions measures what a message costs as the number of connected clients grows to a million, each with a subscription of its own. The
// clients are in memory, without sockets: no system has so many for one address, and what is measured is the broker's own part.
//
//	go run ./bench/sessions [-max 1000000] [-messages 200000]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

func main() {
	most := flag.Int("max", 1_000_000, "measure with 1000 clients, 10,000, and so on up to this many")
	messages := flag.Int("messages", 200_000, "that are published at each step, each for one client")
	flag.Parse()
	if err := run(*most, *messages); err != nil {
		fmt.Fprintln(os.Stderr, "sessions:", err)
		os.Exit(1)
	}
}

func run(most, messages int) error {
	b, err := broker.New(broker.Options{})
	if err != nil {
		return err
	}
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	before := heap()
	var packets counter
	fmt.Println("| clients | ns per message | bytes each, with a goroutine | us to connect and subscribe |\n|--:|--:|--:|--:|")
	have, expected := 0, int64(0)
	for n := 1000; n <= most; n *= 10 {
		started := time.Now()
		expected += 2 * int64(n-have) // CONNACK and SUBACK
		for ; have < n; have++ {
			l.conns <- &client{in: hello(fmt.Sprint("c", have), fmt.Sprint("clients/", have)), sent: &packets, ended: make(chan struct{})}
		}
		if err := packets.await(expected); err != nil {
			return err
		}
		connecting := time.Since(started)
		used := heap() - before
		expected += 1 + int64(messages) // the publisher's CONNACK is one
		pub := publisher(n, messages, &packets)
		started = time.Now()
		l.conns <- pub
		if err := packets.await(expected); err != nil {
			return err
		}
		took := time.Since(started)
		_ = pub.Close()
		fmt.Printf("| %d | %d | %d | %.1f |\n", n, took.Nanoseconds()/int64(messages), used/uint64(n), float64(connecting.Microseconds())/float64(n-n/10))
	}
	if err := b.Shutdown(context.Background()); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, broker.ErrClosed) {
		return err
	}
	return nil
}

// hello is what a client says.
func hello(id, filter string) []byte {
	p := (&mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: id}).Append(nil, mqtt.V311)
	if filter == "" {
		return p
	}
	return (&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: filter}}}).Append(p, mqtt.V311)
}

// publisher is a client with messages for others, by chance.
func publisher(clients, messages int, packets *counter) *client {
	all := hello("publisher", "")
	payload := make([]byte, 64)
	for range messages {
		all = (&mqtt.Publish{Topic: fmt.Append(nil, "clients/", rand.IntN(clients)), Payload: payload}).Append(all, mqtt.V311)
	}
	return &client{in: all, sent: packets, ended: make(chan struct{})}
}

// counter counts packets that the broker writes: each write is of one or more whole ones.
type counter struct{ n atomic.Int64 }

func (c *counter) await(n int64) error {
	for end := time.Now().Add(10 * time.Minute); c.n.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%d packets of %d came", c.n.Load(), n)
		}
	}
	return nil
}

func heap() uint64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// client is a connection whose client has said everything already, and takes everything.
type client struct {
	in    []byte
	sent  *counter
	ended chan struct{}
	once  sync.Once
}

func (c *client) Read(p []byte) (int, error) {
	if n := copy(p, c.in); n > 0 {
		c.in = c.in[n:]
		return n, nil
	}
	c.in = nil
	<-c.ended
	return 0, io.EOF
}

func (c *client) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		frame, more, err := mqtt.Split(rest, mqtt.MaxPacketSize)
		if err != nil || frame == nil {
			return 0, fmt.Errorf("not a packet: %x, %w", rest, err)
		}
		c.sent.n.Add(1)
		rest = more
	}
	return len(p), nil
}

func (c *client) Close() error {
	c.once.Do(func() { close(c.ended) })
	return nil
}

func (c *client) LocalAddr() net.Addr              { return address{} }
func (c *client) RemoteAddr() net.Addr             { return address{} }
func (c *client) SetDeadline(time.Time) error      { return nil }
func (c *client) SetReadDeadline(time.Time) error  { return nil }
func (c *client) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "memory" }

// listener hands out such connections.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return address{} }
