package broker

import "sync/atomic"

// DropCause says why a message did not reach a subscriber or was not accepted from a publisher.
type DropCause uint8

// The causes of drops.
const (
	DropQueueFull     DropCause = iota // MaxQueuedMessages or MaxQueuedBytes; the newest message
	DropBufferFull                     // QoS 0, and the client's socket does not take it: MaxBufferedBytes
	DropTooLarge                       // larger than the client's Maximum Packet Size [MQTT-3.1.2-25]
	DropExpired                        // its Message Expiry Interval passed while it waited
	DropUnauthorized                   // the Authorizer forbids publishing it, or delivering it to this client
	DropRefused                        // an Interceptor refused it
	DropOversize                       // the publisher's payload is over MaxMessageSize
	DropRetainedStale                  // a retained message was replaced before it could be sent
	dropCauses
)

var dropNames = [dropCauses]string{
	"queue full", "buffer full", "too large for the client", "expired", "not authorized", "refused", "payload too large", "replaced",
}

// String names the cause in a few words.
func (d DropCause) String() string {
	if d < dropCauses {
		return dropNames[d]
	}
	return "unknown"
}

// DropCauses is how many causes there are; each is below it.
const DropCauses = int(dropCauses)

// Stats is a snapshot of the broker's counters. Except for the first five they only grow.
type Stats struct {
	Connections   int64 // connected now
	Sessions      int64 // known now, connected or not
	Subscriptions int64 // now
	Retained      int64 // messages now
	Unaccepted    int64 // connections now whose CONNECT is not accepted yet
	Accepted      int64 // connections ever
	Refused       int64 // of them
	Received      int64 // PUBLISH from clients
	Sent          int64 // PUBLISH to clients
	BytesReceived int64
	BytesSent     int64
	Panics        int64 // contained to their connection
	Dropped       [DropCauses]int64
}

type counters struct {
	connections, sessions, unaccepted, accepted, refused atomic.Int64
	received, sent, bytesReceived, bytesSent, panics     atomic.Int64
	dropped                                              [dropCauses]atomic.Int64
}

// Stats returns the counters.
func (b *Broker) Stats() Stats {
	n := &b.counters
	s := Stats{
		Connections:   n.connections.Load(),
		Sessions:      n.sessions.Load(),
		Subscriptions: int64(b.index.Len()),
		Retained:      int64(b.retained.Len()),
		Unaccepted:    n.unaccepted.Load(),
		Accepted:      n.accepted.Load(),
		Refused:       n.refused.Load(),
		Received:      n.received.Load(),
		Sent:          n.sent.Load(),
		BytesReceived: n.bytesReceived.Load(),
		BytesSent:     n.bytesSent.Load(),
		Panics:        n.panics.Load(),
	}
	for i := range n.dropped {
		s.Dropped[i] = n.dropped[i].Load()
	}
	return s
}

// drop counts a message that clientID will not get, or that was not taken from it.
func drop[T string | []byte](b *Broker, clientID string, cause DropCause, topic T) {
	b.counters.dropped[cause].Add(1)
	if b.events.Dropped != nil {
		b.events.Dropped(clientID, cause, string(topic))
	}
}
