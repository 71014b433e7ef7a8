// Package config holds Unio's configuration as one struct, [Config], and reads
// it from a file in the syntax of mosquitto.conf(5).
//
// Everything that a file may contain stands in one table ([Options]): name, kind
// of value, scope, range, default and one line of documentation. The parser knows
// the syntax and nothing of the options; the defaults that it starts from are read
// from the same table. Words of mosquitto.conf(5) that Unio does not have yet are in
// the table too: they give a warning, or an error where a broker without them
// would be less safe than the file asks for.
//
// All mistakes in a file are reported together, as [Errors]. The package opens
// files and nothing else: it binds no port, starts no goroutine and keeps no state.
package config

import (
	"net/netip"
	"time"
)

// NoLimit is the value of a count that is not limited.
const NoLimit = -1

// Config is the whole configuration of one broker. [Default], [Load] and [Parse]
// return it with every field set; a Config made by hand should start from Default.
type Config struct {
	// Listeners are the addresses to listen on, in the order of the file.
	Listeners []Listener
	// LocalOnly says that nothing asked for a listener, and that Listeners are
	// therefore the loopback addresses.
	LocalOnly bool

	// MaxConnections bounds the clients that are connected at once over all
	// listeners; NoLimit or 0 for no bound.
	MaxConnections int
	// MaxClients bounds the sessions, of connected clients and of those that are away;
	// NoLimit or 0 for no bound.
	MaxClients int
	// MaxUnauthenticated bounds the connections whose CONNECT is not accepted yet; 0 for no bound.
	MaxUnauthenticated int
	// MaxConnectionRate bounds the connections from one address in a second; 0 for no bound.
	MaxConnectionRate int
	// ConnectTimeout is how long a connection may take until its CONNECT is accepted.
	ConnectTimeout time.Duration
	// MaxInflightMessages bounds the QoS 1 and 2 messages that are sent to a client
	// and not yet acknowledged; 0 for no bound but the protocol's 65,535.
	MaxInflightMessages uint16
	// MaxInflightBytes bounds their payloads; 0 for no bound.
	MaxInflightBytes int64
	// MaxQueuedMessages bounds the messages that wait for one client; 0 for no bound.
	MaxQueuedMessages int
	// MaxQueuedBytes bounds the payload bytes that wait for one client; 0 for no bound.
	MaxQueuedBytes int64
	// MaxSubscriptions bounds the subscriptions of one session, MaxSharedSubscriptions the shared
	// ones among them; 0 for no bound.
	MaxSubscriptions, MaxSharedSubscriptions int
	// MaxPacketSize is the largest packet that is accepted, in bytes.
	MaxPacketSize uint32
	// MessageSizeLimit is the largest payload that is accepted, in bytes; 0 for no
	// limit but MaxPacketSize. A larger one is acknowledged and dropped, and a larger will refused.
	MessageSizeLimit uint32
	// MaxKeepAlive is the largest keep alive that a client may ask for, in seconds;
	// 0 for no limit.
	MaxKeepAlive uint16
	// RetainAvailable says that retained messages are supported.
	RetainAvailable bool
	// CheckRetainSource delivers a retained message only if its publisher may still
	// publish it.
	CheckRetainSource bool
	// AllowDuplicateMessages sends 3.x clients a copy for each of their subscriptions
	// that match a message, not one for all.
	AllowDuplicateMessages bool
	// UpgradeOutgoingQoS delivers with the QoS of the subscription even when the
	// message was published with a lower one.
	UpgradeOutgoingQoS bool
	// QueueQoS0Messages keeps QoS 0 messages, too, for a client that is away.
	QueueQoS0Messages bool
	// PersistentClientExpiration is how long a session without a connection is kept
	// at most; 0 for as long as the client asked.
	PersistentClientExpiration time.Duration
	// Persistence keeps sessions and messages in the folder StorePath.
	Persistence         bool
	PersistenceLocation string
	PersistenceFile     string
	// SQLiteFile is where Mosquitto's plugin for SQLite keeps its data, which is not read; empty if no
	// line names the plugin.
	SQLiteFile string
	// PersistenceSync is when data is forced to the disk.
	PersistenceSync Sync
	// SyncInterval is how often, with SyncInterval.
	SyncInterval time.Duration
	// RetainExpiryInterval is the time between two sweeps of expired retained messages; 0 for none.
	RetainExpiryInterval time.Duration
	// MemoryLimit is the heap, in bytes, beyond which work is refused; 0 for no limit.
	MemoryLimit int64
	// SetTCPNoDelay switches Nagle's algorithm off on client connections. Unlike
	// Mosquitto Unio does so by default: it writes once for all that is due, so waiting
	// for more gains nothing and delays every answer.
	SetTCPNoDelay bool

	// ConnectionMessages logs each connect and disconnect.
	ConnectionMessages bool
	// AuditLog is the file for security events; empty for none.
	AuditLog string
	// Ban says who guesses passwords, and what happens then.
	Ban Ban
	// Log says what is logged, how and where.
	Log Log
	// PIDFile is the file to write the process id to; empty for none.
	PIDFile string
	// User is the user to run as when started by root.
	User string
	// ClientIDPrefix is what client ids must begin with; empty for no such rule.
	ClientIDPrefix string
	// SysInterval is the time between two refreshes of the $SYS topics; 0 for none.
	SysInterval time.Duration

	// EnableControlAPI answers requests on $CONTROL/broker/v1.
	EnableControlAPI bool
	// ExplainToClient tells 5.0 clients which rule denies them something.
	ExplainToClient bool

	// Warnings are what the file says and Unio does not do, in the order of the file.
	Warnings []Warning

	lines     []line // what the files and the command line say, see Settings
	sectionOf []int  // by listener: the section of its lines; nil: 0 for all
	dynamic   map[DynamicSecurity]Origin
}

// Listener is one address to listen on, with what holds for the clients that
// connect there.
type Listener struct {
	// Port is the TCP port; 0 for a Unix socket.
	Port uint16
	// Address is the IP address or host name to bind to; empty for all addresses.
	Address string
	// Path is the path of the Unix socket; empty for TCP.
	Path string
	// SocketDomain is "ipv4" or "ipv6" to use one of the two alone, else empty.
	SocketDomain string
	// MPTCP accepts Multipath TCP as well as plain TCP, where the system can.
	MPTCP bool

	// BindInterface is the network interface to listen on; empty for all.
	BindInterface string

	// Protocol is what clients speak.
	Protocol Protocol
	// TLS says how they are encrypted.
	TLS TLS
	// IdentityAsUsername makes the common name of the client's certificate, or its PSK identity, the user name; SubjectAsUsername the
	// whole subject.
	IdentityAsUsername, SubjectAsUsername bool
	// WebSocketOrigins are the origins that web pages may come from; none: all.
	WebSocketOrigins []string
	// ForwardedFor are the proxies whose X-Forwarded-For says a WebSocket client's address; none:
	// nobody's does.
	ForwardedFor []netip.Prefix
	// MaxHTTPConnections bounds the connections of a WebSocket listener that are not upgraded yet;
	// 0 for no bound.
	MaxHTTPConnections int
	// HTTPDir is a folder whose files a WebSocket listener serves to browsers; empty for none.
	HTTPDir string
	// ProxyProtocol is the version of the PROXY header that each connection begins with: 1 or 2; 0 for none.
	ProxyProtocol int
	// ProxyRequireTLS refuses connections that came to the proxy without TLS.
	ProxyRequireTLS bool

	// PasswordFile names the users and their passwords; empty for none.
	PasswordFile string
	// Auth is how else clients prove who they are; nil if no line says so.
	Auth *Auth
	// ACLFile says what clients may do; empty for all.
	ACLFile string
	// RulesFile says it with conditions, and has to allow it, too; empty for all.
	RulesFile string
	// DynamicSecurity says who clients are and what they may do, together with the files.
	DynamicSecurity DynamicSecurity
	// AllowAnonymous lets clients in that give no user name.
	AllowAnonymous bool
	// AllowZeroLengthClientID lets clients in that leave their client id to the broker.
	AllowZeroLengthClientID bool
	// UsernameAsClientID makes the user name the client id.
	UsernameAsClientID bool
	// Versions are the protocol versions to accept, by their levels: 3, 4 and 5; nil
	// for all.
	Versions []byte
	// MountPoint goes before the topics of the clients.
	MountPoint string
	// AutoIDPrefix starts the client ids that the broker makes up.
	AutoIDPrefix string
	// MaxConnections bounds the clients that are connected at once; NoLimit or 0 for no bound.
	MaxConnections int
	// MaxQoS is the highest QoS that a client may publish with: 0, 1 or 2.
	MaxQoS byte
	// MaxTopicAlias is how many topic aliases a client may make.
	MaxTopicAlias uint16
	// MaxTopicAliasBroker is how many topic aliases the broker makes for a client at most.
	MaxTopicAliasBroker uint16
}

// DefaultPort is the port that is listened on where none is named.
const DefaultPort = 1883

// Default returns the configuration of a broker that is started without a file:
// loopback only, port 1883, anonymous clients allowed.
func Default() *Config {
	p := newParser()
	p.finish()
	return p.cfg
}

// UsePorts makes the broker listen on the loopback addresses at the given ports
// instead of the default one. As in Mosquitto it has no effect when the file named
// a listener itself.
func (c *Config) UsePorts(ports ...uint16) {
	if !c.LocalOnly || len(ports) == 0 {
		return
	}
	like := c.Listeners[0]
	c.Listeners = nil
	c.note(line{option: "port", text: joinPorts(ports), at: CommandLine})
	for _, port := range ports {
		like.Port = port
		c.Listeners = append(c.Listeners, loopback(like)...)
	}
}

// loopback returns two listeners that are as l, on 127.0.0.1 and on ::1.
func loopback(l Listener) []Listener {
	v4, v6 := l, l
	v4.Address, v6.Address = "127.0.0.1", "::1"
	return []Listener{v4, v6}
}
