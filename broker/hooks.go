package broker

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// Client describes a connected client to hooks and events. It does not change after CONNACK.
type Client struct {
	ID          string
	Username    string
	HasUsername bool
	Version     mqtt.Version
	CleanStart  bool
	HasWill     bool   // CONNECT had a will
	Bridge      bool   // CONNECT had the bridge bit (level 0x83 or 0x84), as those of Mosquitto's bridges before 5.0
	LoggedIn    bool   // the Authenticator has checked who it is, and says so while it authenticates; else Username is a claim
	KeepAlive   uint16 // seconds, in force
	RemoteAddr  net.Addr
	LocalAddr   net.Addr
	Listener    string     // the name given in ListenerOptions
	Transport   *Transport // what ListenerOptions.Identify knew; nil: nothing
	Auth        any        // for the Authenticator's own use, while it authenticates
	// Attributes are what the Authenticator knows besides: groups, roles, the claims of a token. It sets them
	// while it authenticates; they do not change after that.
	Attributes map[string][]string
	// Partial says that of this client no more than ID, Username and Listener is known: it was remembered with a retained
	// message, or with a will that a restart has survived.
	Partial bool
	// Rights is for the Authorizer's own use, from any goroutine: what it has worked out about the client. Nil at first.
	Rights atomic.Pointer[any]
	// Expires is set by the Authenticator, too: the connection is closed then with MaximumConnectTime. Zero: never.
	Expires time.Time
}

// The attributes that have a meaning for all who decide.
const (
	AttributeGroup = "group" // names of groups
	AttributeRole  = "role"  // names of roles
)

// An Authenticator decides who may connect. Its methods may block until ctx ends;
// they run in the connection's own goroutine; [Gone] tells whether the client is still there. An error refuses: if it is, or wraps, a
// mqtt.ReasonCode, the client is told that one, else NotAuthorized.
type Authenticator interface {
	// Authenticate judges user name and password of a CONNECT without authentication method.
	Authenticate(ctx context.Context, c *Client, password []byte) error
	// Exchange begins an enhanced authentication (v5 AUTH) with the method that the
	// client named, at CONNECT and again when the client re-authenticates.
	Exchange(ctx context.Context, c *Client, method string) (Exchange, error)
}

// A Revalidator is an Authenticator that can say of a client that it has let in whether it would do
// so still.
type Revalidator interface {
	// Revalidate is asked about a client whose login began before RejudgeLogins or Recheck was
	// called, and ends after that. It may block and refuses as Authenticate does. It does not
	// change the client.
	Revalidate(ctx context.Context, c *Client) error
}

// An Exchange is one enhanced authentication.
type Exchange interface {
	// Next takes the client's authentication data and returns what to send to it.
	// When done, the client is authenticated and reply travels in CONNACK or the last AUTH.
	Next(ctx context.Context, data []byte) (reply []byte, done bool, err error)
}

// Action is what a client wants to do with a topic.
type Action uint8

// The actions that an Authorizer is asked about.
const (
	ActionPublish     Action = iota + 1 // a message to Topic
	ActionReceive                       // a message on Topic, at its delivery, retained ones too
	ActionSubscribe                     // to the filter Topic, without $share and group
	ActionUnsubscribe                   // from the filter Topic, without $share and group
	ActionWill                          // a will to Topic: when the client connects, and again when it is published
	ActionConnect                       // when the client is authenticated; Topic is empty
)

// Access is one question to an Authorizer. Topic is valid during the call. A field that means nothing for the action is zero.
type Access struct {
	Client *Client
	Action Action
	Topic  []byte
	Share  string // the group of a shared subscription
	Size   int    // of the payload, in bytes
	QoS    byte   // of a subscription: the one asked for
	Retain bool
	Dup    bool // as the publisher has set it
	// Source says that the message was accepted before and is retained, maybe as a will: may its source still publish it?
	Source bool
	// Spelled is how many levels of Topic a rule has to spell out to allow anything: a wildcard
	// there can deny alone. Topic is the path of a request then, which nobody thinks of who allows
	// all topics.
	Spelled uint8
	// Alias says that Topic is another name of what is allowed already: only a rule that denies it
	// counts.
	Alias bool
}

// An Authorizer decides what a client may do. It is on the hot path: it must not
// block or do I/O, and is called from many goroutines.
type Authorizer interface {
	Authorize(Access) bool
}

// An Interceptor may change or refuse a message that a client publishes, after it
// was authorized. p points into the connection's read buffer; an Interceptor may set
// its fields to memory of its own. A non-nil error refuses, as for Authenticator, unless it is ErrTaken. It runs in the
// goroutine that reads the client's connection, and on Linux others', too, which it may hold up for a moment, unless it is [Blocking]; no
// lock is held.
type Interceptor interface {
	Intercept(c *Client, p *mqtt.Publish) error
}

// A Selective is an Interceptor that sees only messages to the topics that concern it.
type Selective interface {
	Interceptor
	Concerns(topic []byte) bool
}

// A Blocking Interceptor may wait for as long as its client may: for a disk, or for its turn. It runs in a goroutine of that
// connection alone, which is not read meanwhile, and never in an event loop. Leaving the loop costs some microseconds, so that it
// should concern few messages.
type Blocking interface {
	Selective
	// MayBlock is true.
	MayBlock() bool
}

// ErrTaken is what an Interceptor returns of a message that was for itself: it goes to nobody, is not retained, and is acknowledged
// as accepted. No other Interceptor is asked. If the error wraps a mqtt.ReasonCode besides, the connection then ends with that.
var ErrTaken = errors.New("broker: message taken by an interceptor")
