// Package store says what outlives a connection and how it is kept.
//
// A stored session is a mailbox. Whoever publishes enqueues deliveries into it,
// whether its client is connected or not; the connection that owns the session
// pulls them out with Next, in order, as its client's window allows, and settles
// each when the client has acknowledged it. The broker keeps no second queue
// for such a session, so that a client that comes back after a restart, one that
// comes back after a minute and one that never left take the same path.
//
// Acknowledgements are callbacks. Commit returns at once; the transaction's Done
// is called when all of it will survive, and only then may the broker tell a
// client so. A Store that keeps nothing calls Done before Commit returns.
//
// What a Store is not asked: it matches no topics, reads no clock and makes no
// protocol decision. Times come in the commands, so that applying the same
// commands always gives the same state, on one node or on several.
//
// Sessions that end with their connection, and messages at QoS 0, never come here.
package store

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store. They may be wrapped. An error that wraps a mqtt.ReasonCode is told to the clients
// that it concerns: mqtt.ServerUnavailable if durable work is impossible for now, mqtt.SessionTakenOver
// if the session is another broker's.
var (
	// ErrClosed is given to whatever comes after Close.
	ErrClosed = errors.New("store: closed")
	// ErrNoSession is given for a Ref that names no session (any more).
	ErrNoSession = errors.New("store: no such session")
)

// A Ref names one stored session. It is never used again for another, so that a
// command which was staged for an earlier session of the same client is void.
// The zero Ref names none.
type Ref uint64

// A Store keeps sessions, their queued deliveries and the retained messages.
// All methods may be called from several goroutines.
type Store interface {
	// Start makes the store ready. It hands what was kept to the Recovery, whose
	// functions are called before Start returns, and afterwards calls wake with
	// the owners of attached sessions for which Next has something new. Wake is
	// called without locks, after the Commit (or the reading ahead) that brought
	// the news, from any goroutine.
	Start(wake func(owners []any), r Recovery) error

	// Attach makes the session of a client the caller's: it is resumed, begun
	// anew, or not stored at all, as the request says. Any earlier owner has lost
	// it when done is called. done may be called before Attach returns. If ctx
	// has ended when the store comes to it, done gets its error, and nothing has changed.
	Attach(ctx context.Context, a Attach, done func(Attached, error))

	// Commit applies the transaction's commands in order, as a whole, and calls
	// tx.Done once when they are durable or have failed. Transactions that touch the same
	// session apply in the order of their Commits. The transaction belongs to
	// the store until Done is called.
	Commit(tx *Tx)

	// Next appends to dst, in order, committed deliveries of the session with an
	// ordinal above after, up to cap(dst), and returns the extended slice. It
	// never waits: a store that must read ahead from a disk returns what it has and wakes the
	// owner later.
	Next(ref Ref, after uint64, dst []Delivery) []Delivery

	// Full reports that there is no room for more. What is committed nevertheless may still fit, but new messages that would be
	// stored should be refused, and new sessions, until it is false again.
	Full() bool

	// Close waits for what was committed and releases everything.
	Close() error
}

// Recovery receives at Start what a store has kept. A nil function is skipped.
type Recovery struct {
	Now      time.Time // from when a session counts as detached whose connection the last process's end has cut
	Session  func(Session) error
	Retained func(*Message) error
	// Orphaned is given, in parts and in order, what an ended session had in its queue of shared
	// subscriptions, at the start what is left of that from before, and from then on whatever a
	// session leaves behind: it may be called at any time after Start has begun, from any goroutine,
	// without locks, and must not wait. When each delivery that was told is in a transaction that was
	// given to Commit, with a Forget, done must be called; then come the next ones. A store that keeps
	// nothing needs neither. nil: they end with their session.
	Orphaned func(ref Ref, ds []Delivery, done func())
}

// Attach is a request for the session of a client.
type Attach struct {
	ClientID   string
	MountPoint string    // of the client's listener: with another one it has another session
	Clean      bool      // [MQTT-3.1.2-4] whatever is stored for the client ends
	Keep       bool      // make a stored session if there is none: it outlives the connection
	Expiry     uint32    // seconds that it outlives it; ExpiryNever: for ever
	Will       *Will     // the will of this connection, nil: none
	Now        time.Time // a session that has expired by now is not resumed
	Owner      any       // what Start's wake is called with
}

// ExpiryNever is the Session Expiry Interval of a session that does not expire.
const ExpiryNever = 0xFFFFFFFF

// Attached is the answer to Attach.
type Attached struct {
	Ref     Ref  // zero: nothing is stored for this client
	Present bool // an existing session was resumed
	// Received are the QoS 2 messages received and not yet released: by packet id, what Tx.Receive was
	// given as their digest. 0: it is not known.
	Received map[uint16]uint64
}

// Session is a stored session as Start recovers it; its client is not connected.
type Session struct {
	Ref           Ref
	ClientID      string
	MountPoint    string // of the client's listener
	Expiry        uint32
	ExpiresAt     time.Time // zero: never
	Subscriptions []Subscription
	Will          *Will // not yet published, nil: none
}

// Will is a will message. It is immutable.
type Will struct {
	Message *Message
	Delay   uint32 // Will Delay Interval, seconds
	// Expiry is the Message Expiry Interval in seconds, from when the will is published, if it has one.
	Expiry    uint32
	HasExpiry bool
	At        time.Time // due; zero: its connection has not ended
}

// Subscription is one filter with the options byte of SUBSCRIBE and the
// subscription identifier, 0 for none.
type Subscription struct {
	Filter  string
	Options byte
	ID      uint32
}

// Message is an application message as it is kept: immutable, and shared by all
// who hold it.
type Message struct {
	Topic      string
	Payload    []byte
	Properties []byte    // wire form of the properties that are forwarded unchanged (mqtt.Properties.AppendForwarded)
	Expires    time.Time // zero: never. The Message Expiry Interval goes on counting while the broker is down
	ClientID   string    // the publisher
	Username   string
	Listener   string // that it came by
	QoS        byte
	Retain     bool
}

// Size is the number of bytes that count against limits of queued bytes.
func (m *Message) Size() int64 {
	return int64(len(m.Topic) + len(m.Payload) + len(m.Properties))
}

// Expired reports whether the message's expiry interval has passed.
func (m *Message) Expired(now time.Time) bool {
	return !m.Expires.IsZero() && !now.Before(m.Expires)
}

// State says how far a delivery has come.
type State uint8

// The states of a delivery in its session's queue.
const (
	Queued   State = iota // not sent yet
	Sent                  // sent, and to be sent again with DUP when the session is resumed
	Released              // QoS 2: PUBREC came, so that PUBREL is to be repeated instead
)

// Delivery is one message on its way to one session.
type Delivery struct {
	Ordinal        uint64 // its place in the session's queue, from 1 without gaps; the store assigns it
	Message        *Message
	Group          string // the shared subscription that it comes by, as it was subscribed; empty: by none
	SubscriptionID uint32
	PacketID       uint16 // from 1, in the order of ordinals, again from 1 after 65535; the store assigns it; 0 at QoS 0
	QoS            byte
	Retain         bool // the RETAIN flag to send
	State          State
	Uncertain      bool // Queued, but it may have been sent before a crash
}
