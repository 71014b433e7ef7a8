package broker

import (
	"net"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// Options configure a Broker. The zero value works: a broker without a disk that lets anybody do anything.
type Options struct {
	Limits
	Store         store.Store   // nil: store/memory
	Authenticator Authenticator // nil: everybody is who they say
	Authorizer    Authorizer    // nil: everything is allowed
	Interceptors  []Interceptor // asked in order, for each message that a client publishes
	Events        Events
	// Explain says why the Authorizer denied something, for the reason string that a v5 client is sent. Nil or "": none.
	Explain func(Access) string
	// GoroutinePerConnection reads each connection in a goroutine of its own on Linux, too, where else a few goroutines read all
	// sockets. It costs some kilobytes for each connection. Those of a SocketListener are read by the few all the same.
	GoroutinePerConnection bool
	// ResponseInformation gives a v5 client that asks for it the text of CONNACK's Response
	// Information [MQTT-3.1.2-28], by convention a topic prefix for responses. Nil or "": none.
	ResponseInformation func(*Client) string
}

// Limits bound what clients may ask for. A zero field has the default that its comment names;
// the defaults are Mosquitto's where it has the option.
type Limits struct {
	MaxPacketSize      uint32        // bytes, of packets from clients; 2,000,000
	MaxConnectSize     uint32        // bytes, of CONNECT and AUTH together, before the client is accepted; 102,400
	MaxMessageSize     uint32        // bytes of payload; larger messages are refused with 0x95; none
	MaxInflight        uint16        // QoS 1 and 2 messages in flight to a client and from it; 20
	MaxInflightBytes   int64         // payload bytes in flight to a client, beyond which no other message is sent; none
	MaxQueuedMessages  int           // per session, beyond those in flight; the newest is dropped; 1000. Negative: none
	MaxQueuedBytes     int64         // per session, beyond those in flight; none
	MaxBufferedBytes   int           // per connection, waiting for its socket; QoS 0 beyond it is dropped; 1 MiB
	MaxKeepAlive       uint16        // seconds, of v5 clients; 65,535
	MaxTopicLevels     int           // of names and filters; 200
	MaxSessionExpiry   time.Duration // an offline session ends then; none
	MaxConnections     int           // at once; none
	MaxSessions        int           // connected or not; none
	MaxUnaccepted      int           // connections at once whose CONNECT is not accepted yet; further ones are closed; none
	MaxUnacceptedBytes int           // of all connections that are not accepted yet, what they have sent beyond 4 KiB each; 16 MiB
	MaxConnectionRate  int           // connections within a second from one address (IPv6: from one /64); further ones are closed; none
	ConnectTimeout     time.Duration // from accept to the end of authentication, all handshakes included; 10 s
	WriteTimeout       time.Duration // for a client that reads nothing; 20 s
	RetainedSweep      time.Duration // between two searches for expired retained messages; none
	RefuseRetained     bool          // retain_available false
	CheckRetainSource  bool          // deliver a retained message only if its publisher may still publish it
	UpgradeOutgoingQoS bool          // deliver at the subscription's QoS, even if published lower
	// AllowDuplicates gives 3.x clients a copy for each of their subscriptions that match, as v5 clients get, whose
	// copies have each its subscription identifier. Without it they get one, at the highest QoS granted.
	AllowDuplicates bool
	QueueQoS0       bool // queue QoS 0 for stored sessions that are offline, too
	// MaxSubscriptions bounds those of one session, and MaxSharedSubscriptions the shared ones
	// among them, of which any number can match one message. What a session has it keeps, and may
	// replace. 10,000 and 100. Negative: none.
	MaxSubscriptions, MaxSharedSubscriptions int
}

func (l *Limits) setDefaults() {
	def(&l.MaxPacketSize, 2_000_000)
	def(&l.MaxConnectSize, 100<<10) // Mosquitto takes 100,000
	def(&l.MaxUnacceptedBytes, 16<<20)
	l.MaxConnectSize = min(l.MaxConnectSize, l.MaxPacketSize)
	def(&l.MaxInflight, 20)
	def(&l.MaxQueuedMessages, 1000)
	l.MaxQueuedMessages = max(l.MaxQueuedMessages, 0)
	def(&l.MaxSubscriptions, 10_000)
	def(&l.MaxSharedSubscriptions, 100)
	def(&l.MaxBufferedBytes, 1<<20)
	def(&l.MaxKeepAlive, 65535)
	def(&l.MaxTopicLevels, 200)
	def(&l.ConnectTimeout, 10*time.Second)
	def(&l.WriteTimeout, 20*time.Second)
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// deliveryQoS is the QoS at which a subscription gets a message [MQTT-3.8.4-8].
func (l *Limits) deliveryQoS(published byte, o mqtt.SubscribeOptions) byte {
	if l.UpgradeOutgoingQoS {
		return o.QoS()
	}
	return min(published, o.QoS())
}

func (l *Limits) queueLimit() store.Limit {
	return store.Limit{Messages: l.MaxQueuedMessages, Bytes: l.MaxQueuedBytes}
}

// maxSessionExpiry is MaxSessionExpiry in seconds.
func (l *Limits) maxSessionExpiry() uint32 {
	if l.MaxSessionExpiry <= 0 || l.MaxSessionExpiry >= store.ExpiryNever*time.Second {
		return store.ExpiryNever
	}
	return uint32(l.MaxSessionExpiry / time.Second)
}

// ListenerOptions are what may differ between the listeners of one Broker. A zero field has the default that its comment names.
type ListenerOptions struct {
	Name                string // for logs, and Client.Listener
	RefuseAnonymous     bool   // CONNECT without user name is refused with 0x87
	RefuseEmptyClientID bool   // allow_zero_length_clientid false
	RefuseQoS           byte   // messages at this QoS and above are refused: 1 or 2; none
	MaxConnections      int    // at once; none
	MaxTopicAlias       uint16 // aliases that a client may use, NoAliases: none; 10
	MaxTopicAliasBroker uint16 // aliases that the broker uses to a client, NoAliases: none; 10
	AutoIDPrefix        string // of client ids that the broker assigns; "auto-"
	UsernameAsClientID  bool   // the user name is the client id, and required
	// ClientIDPrefixes, if any, are what client ids must begin with, else 0x87.
	ClientIDPrefixes []string
	// Versions, if any, are the protocol versions to accept; others are refused with 0x84.
	Versions []mqtt.Version
	// MountPoint goes before the topics and filters of this listener's clients, and is taken off before they see them. Hooks
	// see the topic with it; what is longer than topic.MaxBytes with it is refused. The same client id under another mount point
	// is another client, with another session.
	MountPoint string
	// Admitted says that Broker.AdmitAddress was asked about each connection before.
	Admitted bool
	// Proxied says that a connection's address is a load balancer's until the handshakes of its layers are over: only then is it told
	// (Events.Opened), and a layer asks Broker.AdmitAddress about the client's.
	Proxied bool
	// Harmless, if there is one, says of the error of a handshake that nothing was wrong, such as when a load balancer looks whether
	// the listener is alive. The connection is closed, and nothing is counted as refused, or told.
	Harmless func(error) bool
	// Identify, if there is one, says what is known of a client from below MQTT, when all handshakes are over. An error refuses
	// the CONNECT that follows: with its reason code, else NotAuthorized.
	Identify func(net.Conn) (*Transport, error)
	// Verify, if there is one, says of a connection that Identify was asked about whether what its
	// layers proved would do still. It is asked about a login that began before
	// Broker.RejudgeLogins or Recheck was called, and ends after that. An error refuses it: with
	// its reason code, else NotAuthorized.
	Verify func(net.Conn) error
}

// NoAliases is the value of MaxTopicAlias and MaxTopicAliasBroker that turns aliases off.
const NoAliases = 0xFFFF

func (l *ListenerOptions) setDefaults() {
	def(&l.MaxTopicAlias, 10)
	def(&l.MaxTopicAliasBroker, 10)
	if l.MaxTopicAlias == NoAliases {
		l.MaxTopicAlias = 0
	}
	if l.MaxTopicAliasBroker == NoAliases {
		l.MaxTopicAliasBroker = 0
	}
	def(&l.AutoIDPrefix, "auto-")
}

// maxQoS is the highest QoS that is not refused.
func (l *ListenerOptions) maxQoS() byte {
	if l.RefuseQoS == 1 || l.RefuseQoS == 2 {
		return l.RefuseQoS - 1
	}
	return 2
}
