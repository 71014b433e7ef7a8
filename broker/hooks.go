package broker

import (
	"context"
	"net"
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
	KeepAlive   uint16 // seconds, in force
	RemoteAddr  net.Addr
	LocalAddr   net.Addr
	Listener    string     // the name given in ListenerOptions
	Transport   *Transport // what ListenerOptions.Identify knew; nil: nothing
	Auth        any        // for the Authenticator's own use, while it authenticates

	// Attributes and Expires are set by the Authenticator, while it authenticates a CONNECT.
	Attributes map[string][]string // of the Authenticator, for the Authorizer: groups, roles, claims
	Expires    time.Time           // the connection is closed then with MaximumConnectTime; zero: never
}

// The attributes that have a meaning for all who decide.
const (
	AttributeGroup = "group" // names of groups
	AttributeRole  = "role"  // names of roles
)

// An Authenticator decides who may connect. Its methods may block until ctx ends;
// they run in the connection's own goroutine. An error refuses: if it is, or wraps, a
// mqtt.ReasonCode, the client is told that one, else NotAuthorized.
type Authenticator interface {
	// Authenticate judges user name and password of a CONNECT without authentication method.
	Authenticate(ctx context.Context, c *Client, password []byte) error
	// Exchange begins an enhanced authentication (v5 AUTH) with the method that the
	// client named, at CONNECT and again when the client re-authenticates.
	Exchange(ctx context.Context, c *Client, method string) (Exchange, error)
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
	ActionPublish   Action = iota + 1 // a message to Topic; wills too, when the client connects
	ActionReceive                     // a message on Topic, at its delivery, retained ones too
	ActionSubscribe                   // to the filter Topic, without $share and group
)

// Access is one question to an Authorizer. Topic is valid during the call.
type Access struct {
	Client *Client
	Action Action
	Topic  []byte
	QoS    byte
	Retain bool
}

// An Authorizer decides what a client may do. It is on the hot path: it must not
// block or do I/O, and is called from many goroutines.
type Authorizer interface {
	Authorize(Access) bool
}

// An Interceptor may change or refuse a message that a client publishes, after it
// was authorized. p points into the connection's read buffer; an Interceptor may set
// its fields to memory of its own. A non-nil error refuses, as for Authenticator.
type Interceptor interface {
	Intercept(c *Client, p *mqtt.Publish) error
}

// Events tells an observer what happens. A nil func costs one branch. They are called in the
// goroutine in which it happens, so they must not block.
type Events struct {
	Opened       func(remote, local net.Addr)             // a connection was accepted
	Connected    func(c *Client)                          // CONNACK with success was sent
	Refused      func(c *Client, cause error)             // CONNECT was refused, or none came; c.ID may be empty
	Disconnected func(c *Client, cause error)             // nil: the client sent DISCONNECT; io.EOF: it just went
	Subscribed   func(c *Client, filter string, qos byte) // granted
	Unsubscribed func(c *Client, filter string)           //
	Received     func(c *Client, p mqtt.Packet)           // p is valid during the call
	Sent         func(c *Client, p mqtt.Packet)           // p is valid during the call
	Dropped      func(clientID string, cause DropCause, topic string)
	// Panicked is called for a panic that was contained: only this connection was closed. packet is what was being
	// handled; nil: nothing, or a packet with secrets.
	Panicked func(c *Client, value any, packet, stack []byte)
}
