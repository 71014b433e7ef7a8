package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/uniomq/unio/mqtt"
)

var (
	errStopped = errors.New("stopped")       // after a fault that leaves nothing to go on with
	errDone    = errors.New("nothing to do") // the actor's work is over
)

// patience is how long a living broker may be silent to somebody who waits for an answer.
const patience = 20 * time.Second

// link is one connection.
type link struct {
	nc      net.Conn
	version mqtt.Version
	p       []byte // arrived and not read
	out     []byte
	present bool // Session Present
}

// dial connects a client; the session is kept for ever if clean is false.
func dial(w *world, id string, v mqtt.Version, clean bool) (*link, error) {
	nc, err := w.dial()
	if err != nil {
		return nil, err
	}
	l := &link{nc: nc, version: v}
	c := &mqtt.Connect{Version: v, ClientID: id, CleanStart: clean}
	if v == mqtt.V5 && !clean {
		c.Properties.SetSessionExpiry(0xFFFFFFFF)
	}
	l.send(c)
	if err := l.flush(); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	p, err := l.read()
	if err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	ack, ok := p.(*mqtt.Connack)
	if !ok || ack.Reason != mqtt.Success {
		return nil, errors.Join(fmt.Errorf("%s: got %+v for CONNECT", id, p), nc.Close())
	}
	l.present = ack.SessionPresent
	return l, nil
}

// send puts a packet into the buffer.
func (l *link) send(p mqtt.Packet) { l.out = p.Append(l.out, l.version) }

func (l *link) flush() error {
	_, err := l.nc.Write(l.out)
	l.out = l.out[:0]
	return err
}

// read returns the next packet, which is the caller's. What was sent is flushed before it waits.
func (l *link) read() (mqtt.Packet, error) {
	for {
		frame, rest, err := mqtt.Split(l.p, mqtt.MaxPacketSize)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			p, err := mqtt.Decode(l.version, append([]byte(nil), frame...))
			l.p = rest
			return p, err
		}
		if len(l.out) > 0 {
			if err := l.flush(); err != nil {
				return nil, err
			}
		}
		buf := make([]byte, 16<<10)
		n, err := l.nc.Read(buf)
		l.p = append(slices.Clip(l.p), buf[:n]...)
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

func (l *link) close() { _ = l.nc.Close() }
