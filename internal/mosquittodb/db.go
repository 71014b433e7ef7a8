// Package mosquittodb reads the file mosquitto.db, in which Mosquitto keeps sessions, subscriptions, messages for clients that
// are away, and retained messages while it is down. It knows the formats 3 to 6, which Mosquitto 1.0 to 2.1 write.
//
// A file is a header of 23 bytes (15 that never change, 4 for a checksum that nobody ever computed, 4 for the format) and chunks
// behind it, until the end. A chunk has a type, a length and so many bytes. Strings and lengths are in network byte order, but
// identifiers and times are as the machine had them that wrote the file. An identifier is only compared with others of its
// file, and of a time's two readings one is out of reach, so that files of any machine can be read.
//
// The package reads, and interprets nothing: it neither drops what has expired nor looks up one thing in another. It opens no
// file. What it reads may be damaged or made to do harm: it takes memory for what it has read, never for what a length announces.
package mosquittodb

import (
	"errors"
	"fmt"
	"io"
)

// DB is all that a file holds, each kind of thing in the order of the file.
type DB struct {
	Version int   // of the format, 3 to 6; 0: the file is empty
	Size    int64 // bytes read
	// Shutdown says that Mosquitto wrote the file at its end. If not, it was an autosave, or SIGUSR1, and what came later is not in it.
	Shutdown bool

	Messages      []Message
	Clients       []Client
	Deliveries    []Delivery
	Subscriptions []Subscription
	Retained      []Retained
}

// Message is an application message, to which deliveries and retained messages refer.
type Message struct {
	Offset   int64  // of its chunk
	ID       uint64 // as the file has it: compare it, and nothing else
	Expires  int64  // seconds since 1970; 0: never
	ClientID string // the publisher
	Username string
	Port     uint16 // of the listener that it came by, 0: unknown
	SourceID uint16 // packet id that the publisher gave it
	QoS      byte
	Retain   bool
	Topic    string
	Payload  []byte
	// Properties are those of MQTT 5, on the wire, without the length in front.
	Properties []byte
}

// Client is a session.
type Client struct {
	Offset     int64
	ID         string
	Username   string
	Port       uint16 // of the listener, 0: unknown
	LastID     uint16 // the packet id given out last
	Expiry     uint32 // Session Expiry Interval, seconds; of formats 3 and 4 always ExpiryNever
	Expires    int64  // seconds since 1970; 0: not known, the client was connected
	Disconnect int64  // formats 3 and 4: since when it was away
}

// ExpiryNever is the interval of a session that does not expire.
const ExpiryNever = 0xFFFFFFFF

// Direction says whether a client is to get a message or has sent it.
type Direction byte

// The directions.
const (
	In  Direction = 0 // from the client, at QoS 2, not yet released
	Out Direction = 1
)

// State is how far a delivery has come.
type State byte

// The states that a file can have. A message in one of the Publish states is due to be sent; whether it was before, its Dup flag says.
const (
	Invalid State = iota
	PublishQoS0
	PublishQoS1
	WaitForPuback
	PublishQoS2
	WaitForPubrec
	ResendPubrel
	WaitForPubrel
	ResendPubcomp
	WaitForPubcomp
	SendPubrec
	Queued
)

// Delivery is a message on its way to or from a client.
type Delivery struct {
	Offset         int64
	ClientID       string
	Message        uint64 // its ID
	PacketID       uint16
	QoS            byte
	Retain         bool
	Dup            bool
	Direction      Direction
	State          State
	SubscriptionID uint32 // 0: none
}

// Subscription is one of a client's.
type Subscription struct {
	Offset   int64
	ClientID string
	Filter   string
	Options  byte // as in SUBSCRIBE; formats 3 and 4 have the QoS alone
	ID       uint32
}

// Retained says which message is its topic's retained one.
type Retained struct {
	Offset  int64
	Message uint64 // its ID
}

// Error says where a file is not what it should be.
type Error struct {
	Offset int64 // bytes from the beginning
	What   string
}

func (e *Error) Error() string { return fmt.Sprintf("offset %d: %s", e.Offset, e.What) }

// magic begins every file.
const magic = "\x00\xb5\x00mosquitto db"

// The formats that are known.
const (
	oldestVersion = 3
	newestVersion = 6
)

// Read reads a whole file. What is wrong with it is told as an *Error; nothing is returned then. A file
// without a byte, which somebody made for Mosquitto to fill or a full disk left behind, holds nothing.
func Read(r io.Reader) (*DB, error) {
	s := &source{r: r}
	db := &DB{}
	err := s.header(db)
	if errors.Is(err, io.EOF) {
		return db, nil
	}
	if err != nil {
		return nil, err
	}
	l := layoutOf(db.Version)
	for first := true; ; first = false {
		c, err := s.chunk(l)
		if errors.Is(err, io.EOF) {
			db.Size = s.offset
			return db, nil
		}
		if err != nil {
			return nil, err
		}
		if first != (c.kind == kindConfig) {
			return nil, c.wrong("expected the chunk of settings first, and once")
		}
		if err := l.read(db, c); err != nil {
			return nil, err
		}
	}
}
