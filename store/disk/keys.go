package disk

import (
	"encoding/binary"

	"github.com/uniomq/unio/store"
)

// A key begins with its kind. What belongs to a session goes on with the session's Ref, so that it lies together and in
// order. Numbers in keys are big-endian, which sorts as they count.
const (
	kindFormat       = 'F' // the version of all this
	kindCounter      = 'N' // numbers below it may be in use, for refs and bodies
	kindSession      = 'S' // ref
	kindSubscription = 'U' // ref, filter
	kindReceived     = 'I' // ref, packet id; digest, or nothing: QoS 2 from the client, not yet released
	kindProgress     = 'P' // ref: how far the queue was sent
	kindEntry        = 'Q' // ref, ordinal: a delivery
	kindReleased     = 'L' // ref, ordinal: PUBREC came for it
	kindBody         = 'B' // number: a message that several entries refer to
	kindRetained     = 'R' // topic
	kindGarbage      = 'G' // ref: ended, but not all that it held is deleted; up to which ordinal deliveries may have been sent without a trace
)

// ofSession are the kinds that the garbage of a session may consist of. How far its queue was sent is
// known as long as something of that is there.
var ofSession = [...]byte{kindEntry, kindSubscription, kindReceived, kindProgress, kindReleased}

const (
	refSize   = 1 + 8
	entrySize = refSize + 8
)

func refKey(buf []byte, kind byte, ref store.Ref) []byte {
	return binary.BigEndian.AppendUint64(append(buf[:0], kind), uint64(ref))
}

func entryKey(buf []byte, kind byte, ref store.Ref, ordinal uint64) []byte {
	return binary.BigEndian.AppendUint64(refKey(buf, kind, ref), ordinal)
}

func receivedKey(buf []byte, ref store.Ref, id uint16) []byte {
	return binary.BigEndian.AppendUint16(refKey(buf, kindReceived, ref), id)
}

func subscriptionKey(buf []byte, ref store.Ref, filter string) []byte {
	return append(refKey(buf, kindSubscription, ref), filter...)
}

func bodyKey(buf []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(buf[:0], kindBody), number)
}

// numberOf is the number in the key of a body.
func numberOf(key []byte) uint64 {
	if len(key) != refSize {
		return 0
	}
	return binary.BigEndian.Uint64(key[1:])
}

func retainedKey(buf []byte, topic string) []byte {
	return append(append(buf[:0], kindRetained), topic...)
}

// refOf is the session that a key belongs to.
func refOf(key []byte) store.Ref {
	if len(key) < refSize {
		return 0
	}
	return store.Ref(binary.BigEndian.Uint64(key[1:]))
}

// ordinalOf is the ordinal in the key of an entry.
func ordinalOf(key []byte) uint64 {
	if len(key) != entrySize {
		return 0
	}
	return binary.BigEndian.Uint64(key[refSize:])
}

// kindEnd is behind all keys of a kind.
func kindEnd(kind byte) []byte { return []byte{kind + 1} }

// A Ref has the shard of its key in its highest bits: sessions of one shard lie together, and the
// same client is always of the same shard, whatever process or machine computes it.
const (
	shardBits  = 6
	shardShift = 64 - shardBits
)

// shardOf hashes a session's key (FNV-1a).
func shardOf(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h >> shardShift
}

func newRef(key string, number uint64) store.Ref {
	return store.Ref(shardOf(key)<<shardShift | number)
}
