package broker

import "sync/atomic"

// DropCause says why a message did not reach a subscriber or was not accepted from a publisher.
type DropCause uint8

// The causes of drops.
const (
	DropQueueFull    DropCause = iota // MaxQueuedMessages or MaxQueuedBytes; the newest message
	DropBufferFull                    // QoS 0, and the client's socket does not take it: MaxBufferedBytes
	DropTooLarge                      // larger than the client's Maximum Packet Size [MQTT-3.1.2-25]
	DropExpired                       // its Message Expiry Interval passed while it waited
	DropUnauthorized                  // the Authorizer forbids publishing it, or delivering it to this client
	DropRefused                       // an Interceptor refused it, or its topic is too long behind the mount point
	DropOversize                      // the publisher's payload is over MaxMessageSize
	DropStoreFull                     // it would have to be stored, and there is no room
	dropCauses
)

var dropNames = [dropCauses]string{
	"queue full", "buffer full", "too large for the client", "expired", "not authorized", "refused", "payload too large", "store full",
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

// Stats is a snapshot of the broker's counters.
type Stats struct {
	// What there is now.
	Connections         int64 // clients connected
	Sessions            int64 // connected or not
	Subscriptions       int64 // shared ones too
	SharedSubscriptions int64
	Retained            int64 // messages
	RetainedBytes       int64 // their payloads
	RetainedPending     int64 // subscriptions whose retained messages have not all been sent
	Unaccepted          int64 // connections whose CONNECT is not accepted yet
	PacketsWaiting      int64 // for sockets that take no more; an upper bound, by a block of 32 KiB for each
	BytesWaiting        int64 // of them

	// What only grows.
	ConnectionsMax       int64 // most clients connected at once
	Accepted             int64 // connections
	Refused              int64 // connections that got no session
	Probes               int64 // connections that never were to get one: ListenerOptions.Harmless
	RefusedBy            [RefuseCauses]int64
	Expired              int64 // sessions
	PacketsReceived      int64 // of all types
	PacketsSent          int64
	Received             int64 // PUBLISH from clients
	Sent                 int64 // PUBLISH to clients
	BytesReceived        int64 // of all packets
	BytesSent            int64
	PublishBytesReceived int64 // payloads
	PublishBytesSent     int64
	Panics               int64 // contained to their connection
	Dropped              [DropCauses]int64
}

type counters struct {
	connections, connectionsMax, sessions, unaccepted, accepted, refused, probes, expired, panics atomic.Int64
	shared, retainedBytes, retainedPending                                                        atomic.Int64
	packetsReceived, packetsSent, received, sent                                                  atomic.Int64
	bytesReceived, bytesSent, publishBytesReceived, publishBytesSent                              atomic.Int64
	dropped                                                                                       [dropCauses]atomic.Int64
	refusedBy                                                                                     [refuseCauses]atomic.Int64
}

// peak notes how many clients are connected, if there were never more.
func (n *counters) peak() {
	now := n.connections.Load()
	for {
		m := n.connectionsMax.Load()
		if now <= m || n.connectionsMax.CompareAndSwap(m, now) {
			return
		}
	}
}

// traffic is what one batch adds to the counters.
type traffic struct {
	packetsReceived, packetsSent, received, sent                     int64
	bytesReceived, bytesSent, publishBytesReceived, publishBytesSent int64
}

func (n *counters) add(t *traffic) {
	for _, c := range [...]struct {
		total *atomic.Int64
		n     int64
	}{
		{&n.packetsReceived, t.packetsReceived},
		{&n.packetsSent, t.packetsSent},
		{&n.received, t.received},
		{&n.sent, t.sent},
		{&n.bytesReceived, t.bytesReceived},
		{&n.bytesSent, t.bytesSent},
		{&n.publishBytesReceived, t.publishBytesReceived},
		{&n.publishBytesSent, t.publishBytesSent},
	} {
		if c.n != 0 {
			c.total.Add(c.n)
		}
	}
	*t = traffic{}
}

// Stats returns the counters.
func (b *Broker) Stats() Stats {
	n := &b.counters
	s := Stats{
		Connections:          n.connections.Load(),
		Sessions:             n.sessions.Load(),
		Subscriptions:        int64(b.index.Len()),
		SharedSubscriptions:  n.shared.Load(),
		Retained:             int64(b.retained.Len()),
		RetainedBytes:        n.retainedBytes.Load(),
		RetainedPending:      n.retainedPending.Load(),
		Unaccepted:           n.unaccepted.Load(),
		ConnectionsMax:       n.connectionsMax.Load(),
		Accepted:             n.accepted.Load(),
		Refused:              n.refused.Load(),
		Probes:               n.probes.Load(),
		Expired:              n.expired.Load(),
		PacketsReceived:      n.packetsReceived.Load(),
		PacketsSent:          n.packetsSent.Load(),
		Received:             n.received.Load(),
		Sent:                 n.sent.Load(),
		BytesReceived:        n.bytesReceived.Load(),
		BytesSent:            n.bytesSent.Load(),
		PublishBytesReceived: n.publishBytesReceived.Load(),
		PublishBytesSent:     n.publishBytesSent.Load(),
		Panics:               n.panics.Load(),
	}
	s.PacketsWaiting, s.BytesWaiting = b.slow.waiting()
	for i := range n.dropped {
		s.Dropped[i] = n.dropped[i].Load()
	}
	for i := range n.refusedBy {
		s.RefusedBy[i] = n.refusedBy[i].Load()
	}
	return s
}

// drop counts a message that clientID will not get, or that was not taken from it.
func drop[T string | []byte](b *Broker, clientID string, cause DropCause, topic T) {
	b.counters.dropped[cause].Add(1)
	if event := b.options.Load().Events.Dropped; event != nil {
		event(clientID, cause, string(topic))
	}
}
