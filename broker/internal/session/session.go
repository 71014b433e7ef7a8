// Package session is the protocol state of one connected client: packet
// identifiers, windows, topic aliases and what is in flight in each direction.
// It does no I/O, starts no goroutine and reads no clock.
//
// A Session lives as long as its connection. What outlives the connection is in
// the store, from which the broker feeds the Session again when the client comes
// back. The order of the caller's duties for each PUBLISH that a client sends is:
// route, commit, then acknowledge. Accept therefore changes nothing that needs
// an acknowledgement to be sent; it only says what the message is.
//
// The two halves have different owners. Inbound belongs to the connection's read
// loop. Outbound is shared by everybody who delivers to the client, under the connection's mutex.
package session

import "github.com/uniomq/unio/store"

// Config is what CONNECT and the broker's limits agreed on.
type Config struct {
	ReceiveMaximum   int         // QoS 1 and 2 messages that the client may have unacknowledged
	Received         Received    // QoS 2 messages received before the session was resumed
	AliasMaximum     uint16      // topic aliases that the client may use
	Window           int         // QoS 1 and 2 messages that it may be sent unacknowledged
	WindowBytes      int64       // payload bytes of these beyond which no other is sent; 0: none
	SendAliasMaximum uint16      // topic aliases that we may use
	Queue            store.Limit // bounds the messages that wait for the window
}

// Session is the state of one connected client.
type Session struct {
	Inbound
	Outbound
}

// New returns the state at the moment of CONNACK.
func New(c Config) *Session {
	s := &Session{
		Inbound:  Inbound{limit: int32(c.ReceiveMaximum), aliasMaximum: c.AliasMaximum},
		Outbound: Outbound{window: int32(c.Window), windowBytes: c.WindowBytes, aliasMaximum: c.SendAliasMaximum, limit: c.Queue},
	}
	if len(c.Received) > 0 {
		s.learn().received = c.Received
	}
	return s
}
