package broker

import (
	"math"

	"github.com/uniomq/unio/broker/internal/netio"
	"github.com/uniomq/unio/store"
)

// SetRoom says how many bytes more may be taken, until the next call, by what waits for clients and
// by what is stored for them. When they are used up, a message at QoS 0 is dropped for a client
// behind which more than 32 KiB waits, and one at QoS 1 or 2 for a client whose window is full. What
// would have to be stored is refused. A client that sends a packet of more than 64 KiB is disconnected
// with QuotaExceeded. Clients that keep up notice nothing, and new ones are let in. Negative: there is
// no limit, which is how it begins.
func (b *Broker) SetRoom(bytes int64) {
	if bytes < 0 {
		bytes = math.MaxInt64
	}
	b.room.Store(bytes)
}

// cramped reports whether there is no room.
func (b *Broker) cramped() bool { return b.room.Load() <= 0 }

// take takes what a batch has added to what waits.
func (b *Broker) take(bytes int64) {
	if b.room.Load() != math.MaxInt64 {
		b.room.Add(-bytes)
	}
}

// SetShort says whether the program is short of memory. While it is, new clients are refused, and messages that would have to be stored.
func (b *Broker) SetShort(on bool) { b.short.Store(on) }

// full reports whether nothing more should be stored.
func (b *Broker) full() bool { return b.store.Full() || b.short.Load() }

// maxBuffered is how many bytes may wait for the socket of a connection, besides one message.
func (bt *batch) maxBuffered() int {
	if bt.b.cramped() {
		return min(bt.o.MaxBufferedBytes, netio.BlockSize)
	}
	return bt.o.MaxBufferedBytes
}

// kept returns bt.message as something that can be held.
func (bt *batch) kept() *store.Message {
	m := &bt.message
	if m.stored == nil {
		bt.grown += int64(len(m.topic) + len(m.payload) + len(m.forwarded))
	}
	return m.kept(bt.now)
}

// waitingCost is about what one message takes in a queue besides what is shared with others, in bytes.
const waitingCost = 64
