package broker

import (
	"net"

	"github.com/uniomq/unio/mqtt"
)

// Events tells an observer what happens. A nil func costs one branch. They are called in the
// goroutine in which it happens, also with a connection's lock held and by the store's completer, so
// they must not wait for anything: not for a file, a terminal or a network. [Tee] makes one of several.
type Events struct {
	Opened       func(remote, local net.Addr)             // a connection was accepted
	Connected    func(c *Client)                          // CONNACK with success was sent
	Refused      func(c *Client, cause error)             // CONNECT was refused, or none came; c.ID may be empty
	Disconnected func(c *Client, cause error)             // nil: the client sent DISCONNECT; io.EOF: it just went
	Subscribed   func(c *Client, filter string, qos byte) // granted
	Unsubscribed func(c *Client, filter string)           //
	Received     func(c *Client, p mqtt.Packet)           // p is valid during the call
	Sent         func(c *Client, p mqtt.Packet)           // p is valid during the call
	// Dropped is called for each message that the client did not get, or that was not taken from it.
	Dropped func(clientID string, cause DropCause, topic string)
	// Denied is called for each question that the Authorizer has answered with no. a.Topic is valid during the call.
	Denied func(a Access)
	// Limited is called for each subscription that a limit has refused, with QuotaExceeded.
	Limited func(c *Client, filter string, cause error)
	// Panicked is called for a panic that was contained: only this connection was closed. packet is what was being
	// handled; nil: nothing, or a packet with secrets.
	Panicked func(c *Client, value any, packet, stack []byte)
}

// Tee returns events that tell each of several observers, in their order. An event that no observer
// wants stays nil, and one that a single observer wants costs no more than without Tee.
func Tee(observers ...Events) Events {
	var t Events
	for _, o := range observers {
		t.Opened = tee2(t.Opened, o.Opened)
		t.Connected = tee1(t.Connected, o.Connected)
		t.Refused = tee2(t.Refused, o.Refused)
		t.Disconnected = tee2(t.Disconnected, o.Disconnected)
		t.Subscribed = tee3(t.Subscribed, o.Subscribed)
		t.Unsubscribed = tee2(t.Unsubscribed, o.Unsubscribed)
		t.Received = tee2(t.Received, o.Received)
		t.Sent = tee2(t.Sent, o.Sent)
		t.Dropped = tee3(t.Dropped, o.Dropped)
		t.Denied = tee1(t.Denied, o.Denied)
		t.Limited = tee3(t.Limited, o.Limited)
		t.Panicked = tee4(t.Panicked, o.Panicked)
	}
	return t
}

func tee1[A any](f, g func(A)) func(A) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A) { f(a); g(a) }
}

func tee2[A, B any](f, g func(A, B)) func(A, B) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B) { f(a, b); g(a, b) }
}

func tee3[A, B, C any](f, g func(A, B, C)) func(A, B, C) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B, c C) { f(a, b, c); g(a, b, c) }
}

func tee4[A, B, C, D any](f, g func(A, B, C, D)) func(A, B, C, D) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B, c C, d D) { f(a, b, c, d); g(a, b, c, d) }
}
