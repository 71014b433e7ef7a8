package store

import "time"

// Op is what a Command does.
type Op uint8

// The commands of a transaction. SetSent, SetReleased and Settle speak of deliveries that Next has returned.
const (
	Enqueue     Op = iota + 1 // put Delivery into the queue, unless Limit says that it is full
	SetSent                   // all deliveries up to Ordinal have been sent
	SetReleased               // QoS 2: PUBREC came for Ordinal
	Settle                    // the delivery Ordinal is done with; if it was not sent, it counts as such, and all before it
	Receive                   // QoS 2: PacketID was received from the client
	Release                   // QoS 2: PacketID is free again
	Subscribe                 // add or replace Subscription
	Unsubscribe               // remove Subscription.Filter
	Retain                    // Message is its topic's retained message; an empty payload clears it
	Detach                    // the connection has ended: At, Expiry, WillAt (zero: the will is dropped or published)
	ClearWill                 // the will was published or is not to be
	Remove                    // the session ends, with all that it holds
	Forget                    // the delivery Ordinal of an ended session, which Recovery.Orphaned was given, is done with
)

// Command is one change. Which fields count depends on Op.
type Command struct {
	Op           Op
	Dropped      bool   // result of Enqueue: the queue was full
	Void         bool   // result of Enqueue: there is no such session (any more)
	PacketID     uint16 // Receive, Release
	Expiry       uint32 // Detach, seconds
	Digest       uint64 // Receive
	Ref          Ref
	Ordinal      uint64 // result of Enqueue: the delivery's place, 0 if it was dropped
	Delivery     Delivery
	Limit        Limit
	Subscription Subscription
	Message      *Message
	At, WillAt   time.Time
}

// Limit bounds the deliveries of one session that have not been sent. Zero: no bound.
type Limit struct {
	Messages int
	Bytes    int64
}

// Tx collects commands that are committed together. It may be reused after Done.
type Tx struct {
	Commands []Command
	// Wait says that the commands must be durable when Done comes: a client waits for it, or nobody
	// would send them again. Without it Done may come before, as for messages at QoS 0.
	Wait bool
	// Done is called once for each Commit, without locks.
	Done func(error)
	// Owners is scratch space of the store.
	Owners []any
}

// Reset forgets the commands, and what they refer to.
func (tx *Tx) Reset() {
	clear(tx.Commands)
	tx.Commands, tx.Wait = tx.Commands[:0], false
	clear(tx.Owners)
	tx.Owners = tx.Owners[:0]
}

// add appends a command for ref and returns it, to be filled in.
func (tx *Tx) add(op Op, ref Ref) *Command {
	tx.Commands = append(tx.Commands, Command{Op: op, Ref: ref})
	return &tx.Commands[len(tx.Commands)-1]
}

// Enqueue stages d for the session. When more than limit waits there, d is
// dropped and its command says so after Done.
func (tx *Tx) Enqueue(ref Ref, d Delivery, limit Limit) {
	c := tx.add(Enqueue, ref)
	c.Delivery, c.Limit = d, limit
}

// SetSent stages that all deliveries up to ordinal were sent.
func (tx *Tx) SetSent(ref Ref, ordinal uint64) { tx.add(SetSent, ref).Ordinal = ordinal }

// SetReleased stages that the client has answered a QoS 2 delivery with PUBREC.
func (tx *Tx) SetReleased(ref Ref, ordinal uint64) { tx.add(SetReleased, ref).Ordinal = ordinal }

// Settle stages that a delivery is done with.
func (tx *Tx) Settle(ref Ref, ordinal uint64) { tx.add(Settle, ref).Ordinal = ordinal }

// Receive stages that a QoS 2 message with the packet id came from the client, replacing one that has
// it. digest tells the message from others; the store keeps it as it is.
func (tx *Tx) Receive(ref Ref, id uint16, digest uint64) {
	c := tx.add(Receive, ref)
	c.PacketID, c.Digest = id, digest
}

// Release stages that the client has released the packet id.
func (tx *Tx) Release(ref Ref, id uint16) { tx.add(Release, ref).PacketID = id }

// Subscribe stages a subscription, replacing one with the same filter.
func (tx *Tx) Subscribe(ref Ref, s Subscription) { tx.add(Subscribe, ref).Subscription = s }

// Unsubscribe stages the end of the subscription to filter.
func (tx *Tx) Unsubscribe(ref Ref, filter string) {
	tx.add(Unsubscribe, ref).Subscription.Filter = filter
}

// Retain stages m as its topic's retained message; an empty payload clears it.
func (tx *Tx) Retain(m *Message) { tx.add(Retain, 0).Message = m }

// Detach stages the end of the connection at the time at. The session expires
// expiry seconds later; its will, if it has one still, is due at willAt.
func (tx *Tx) Detach(ref Ref, at time.Time, expiry uint32, willAt time.Time) {
	c := tx.add(Detach, ref)
	c.At, c.Expiry, c.WillAt = at, expiry, willAt
}

// ClearWill stages that the will is no longer pending.
func (tx *Tx) ClearWill(ref Ref) { tx.add(ClearWill, ref) }

// Remove stages the end of the session.
func (tx *Tx) Remove(ref Ref) { tx.add(Remove, ref) }

// Forget stages that a delivery of an ended session was given to somebody else, or to nobody.
func (tx *Tx) Forget(ref Ref, ordinal uint64) { tx.add(Forget, ref).Ordinal = ordinal }
