//go:build unix

package broker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// talker is a layer that has something to say of its own once it has read "own".
type talker struct {
	*net.TCPConn
	full   atomic.Bool // the next TryWrite finds no room
	own    atomic.Bool // it has something to say
	writes int
	heard  bool
	hold   bool

	writing, write, parked, reading, read, asked chan struct{}
}

func newTalker(c *net.TCPConn) *talker {
	step := func() chan struct{} { return make(chan struct{}, 1) }
	return &talker{TCPConn: c, writing: step(), write: step(), parked: step(), reading: step(), read: step(), asked: step()}
}

func (c *talker) TryRead(sock io.Reader, p []byte) (int, error) {
	if c.hold {
		c.hold = false
		c.reading <- struct{}{}
		<-c.read
	}
	n, err := sock.Read(p)
	if bytes.Contains(p[:n], []byte("own")) {
		c.heard = true
		c.own.Store(true)
	}
	if errors.Is(err, syscall.EAGAIN) && c.heard {
		c.heard, c.hold = false, true
		c.parked <- struct{}{}
	}
	return n, err
}

func (c *talker) TryWrite(sock io.Writer, p []byte) (int, error) {
	c.say()
	if c.full.CompareAndSwap(true, false) {
		return 0, syscall.EAGAIN
	}
	return sock.Write(p)
}

func (c *talker) Write(p []byte) (int, error) {
	c.say()
	if c.writes++; c.writes == 1 {
		c.writing <- struct{}{}
		<-c.write
	}
	return c.TCPConn.Write(p)
}

func (c *talker) say() {
	if c.own.CompareAndSwap(true, false) {
		c.asked <- struct{}{}
	}
}

func (*talker) TryClose(io.Writer) {}

// talking is a listener whose connections are talkers.
type talking struct {
	net.Listener
	accepted chan *talker
}

func (l talking) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	t := newTalker(c.(*net.TCPConn))
	l.accepted <- t
	return t, nil
}

// TestALayerIsAskedBehindAWriteThatWaits has a layer find something to say while a write waits for the socket and nothing else comes behind it.
func TestALayerIsAskedBehindAWriteThatWaits(t *testing.T) {
	t.Parallel()
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := talking{inner, make(chan *talker, 1)}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	nc, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{t: t, nc: nc, version: mqtt.V5}
	layer := <-l.accepted
	c.begin(clean("c"))
	wait := func(step chan struct{}, what string) {
		t.Helper()
		select {
		case <-step:
		case <-time.After(20 * time.Second):
			t.Errorf("the broker does not %s", what)
		}
	}
	layer.full.Store(true)
	c.send(&mqtt.Pingreq{})
	wait(layer.writing, "write where the socket was full")
	c.send(&mqtt.Publish{Topic: []byte("own")})
	wait(layer.parked, "read the message")
	c.send(&mqtt.Publish{Topic: []byte("t")})
	wait(layer.reading, "read again")
	layer.write <- struct{}{}
	wait(layer.asked, "ask the layer behind the write")
	layer.read <- struct{}{}
	if _, ok := c.read().(*mqtt.Pingresp); !ok {
		t.Error("no PINGRESP")
	}
	if err := b.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != broker.ErrClosed {
		t.Error(err)
	}
}
