package mosqlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// An Observer logs what the engine does.
type Observer struct {
	log      *slog.Logger
	messages atomic.Bool // connection_messages
	flood    flood       // of refused connections
	denials  denials
	limits   denials                    // subscriptions that a limit has refused
	why      func(broker.Access) string // see TellDenials
	wills    sync.Map                   // *broker.Client to the lines on the will of its CONNECT, until it is accepted or refused
}

// NewObserver returns an observer that logs to log. connectionMessages is the option
// of that name.
func NewObserver(log *slog.Logger, connectionMessages bool) *Observer {
	o := &Observer{log: log, denials: newDenials(), limits: newDenials()}
	o.messages.Store(connectionMessages)
	return o
}

// SetConnectionMessages replaces what NewObserver was given.
func (o *Observer) SetConnectionMessages(on bool) { o.messages.Store(on) }

// Events returns the events to give to the engine. Packets, which are many, are
// observed only if they are to be logged, now or soon: otherwise they cost nothing.
func (o *Observer) Events(packets bool) broker.Events {
	e := broker.Events{
		Opened: o.opened, Connected: o.connected, Refused: o.refused, Disconnected: o.disconnected,
		Subscribed: o.subscribed, Unsubscribed: o.unsubscribed, Limited: o.limited, Panicked: o.panicked,
	}
	if o.why != nil {
		e.Denied = o.denied
	}
	if packets || o.takes(LevelDebug) {
		e.Received, e.Sent, e.Dropped = o.received, o.sent, o.dropped
	}
	return e
}

func (o *Observer) takes(level slog.Level) bool {
	return o.log.Enabled(context.Background(), level)
}

func (o *Observer) printf(level slog.Level, format string, args ...any) {
	o.log.Log(context.Background(), level, fmt.Sprintf(format, args...))
}

// client logs a line about a client, with its details for JSON.
func (o *Observer) client(level slog.Level, c *broker.Client, format string, args ...any) {
	attrs := make([]slog.Attr, 0, 3)
	if c != nil {
		attrs = appendDetail(attrs, "client", c.ID)
		if c.RemoteAddr != nil {
			attrs = appendDetail(attrs, "address", c.RemoteAddr.String())
		}
		attrs = appendDetail(attrs, "user", c.Username)
	}
	o.log.LogAttrs(context.Background(), level, fmt.Sprintf(format, args...), attrs...)
}

func appendDetail(attrs []slog.Attr, key, value string) []slog.Attr {
	if value == "" {
		return attrs
	}
	return append(attrs, slog.Any(key, detail(value)))
}

// tellsConnections reports whether connections are logged.
func (o *Observer) tellsConnections() bool { return o.messages.Load() && o.takes(LevelNotice) }

func (o *Observer) opened(remote, local net.Addr) {
	if !o.tellsConnections() {
		return
	}
	c := &broker.Client{RemoteAddr: remote}
	if addr, ok := local.(*net.TCPAddr); ok {
		o.client(LevelNotice, c, "New connection from %s on port %d.", peer(remote), addr.Port)
		return
	}
	o.client(LevelNotice, c, "New connection on %s.", local)
}

func (o *Observer) connected(c *broker.Client) {
	defer o.will(c)
	if !o.tellsConnections() {
		return
	}
	user := ""
	if c.HasUsername {
		user = ", u'" + c.Username + "'"
	}
	o.client(LevelNotice, c, "New client connected from %s as %s (p%d, c%d, k%d%s).",
		peer(c.RemoteAddr), c.ID, c.Version, bit(c.CleanStart), c.KeepAlive, user)
}

// peer is an address and a port as Mosquitto writes them: IPv6 without brackets.
func peer(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return host(&broker.Client{RemoteAddr: a}) + ":" + strconv.Itoa(tcp.Port)
	}
	return fmt.Sprint(a)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// refused logs the end of a connection that got no session. There may be a flood of them: of some hundreds in one second the rest is
// only counted, and told with the first of another second.
func (o *Observer) refused(c *broker.Client, cause error) {
	ok, left := o.flood.enter(time.Now())
	if left > 0 && o.tellsConnections() {
		o.printf(LevelNotice, "%d more connections were refused that are not listed.", left)
	}
	if ok {
		o.disconnected(c, cause)
	} else {
		o.wills.Delete(c)
	}
}

// flood bounds lines to refusedLines in each second.
type flood struct {
	mu     sync.Mutex
	second int64
	n      int
}

const refusedLines = 200

// enter reports whether one more line is within the bound, and how many of an earlier second were not.
func (f *flood) enter(now time.Time) (ok bool, left int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := now.Unix(); s != f.second {
		left = max(f.n-refusedLines, 0)
		f.second, f.n = s, 0
	}
	f.n++
	return f.n <= refusedLines, left
}

// disconnected logs the end of a connection that was accepted or refused.
func (o *Observer) disconnected(c *broker.Client, cause error) {
	o.wills.Delete(c)
	line := ending(cause)
	if line == "" || !o.tellsConnections() {
		return
	}
	if errors.Is(cause, broker.ErrMaxConnections) {
		o.client(LevelNotice, c, "Client connection from %s denied: max_connections exceeded.", host(c))
		return
	}
	if errors.Is(cause, mqtt.ErrProtocolLevel) {
		o.client(LevelNotice, c, "Invalid protocol version in CONNECT from %s.", host(c))
	}
	if c == nil || c.ID != "" {
		o.client(LevelNotice, c, "Client %s %s", name(c), line)
		return
	}
	// Mosquitto says no more than <unknown>.
	more := host(c)
	if code := mqtt.ReasonCode(0); errors.As(cause, &code) && cause.Error() != code.Error() && !strings.Contains(line, cause.Error()) {
		more += ": " + cause.Error()
	}
	o.client(LevelNotice, c, "Client %s %s (%s).", name(c), strings.TrimSuffix(line, "."), more)
}

// name returns how a line calls a client.
func name(c *broker.Client) string {
	if c == nil || c.ID == "" {
		return "<unknown>"
	}
	return c.ID
}

// host is where a client comes from, without its port.
func host(c *broker.Client) string {
	if c == nil || c.RemoteAddr == nil {
		return "<unknown>"
	}
	if addr, ok := c.RemoteAddr.(*net.TCPAddr); ok {
		return addr.IP.String()
	}
	return c.RemoteAddr.String()
}

// ending returns what a line says of the end of a connection, after the client's
// name; empty for nothing.
func ending(cause error) string {
	var code mqtt.ReasonCode
	switch {
	case cause == nil:
		return "disconnected."
	case errors.As(cause, &code):
		return endingOf(code, cause)
	case errors.Is(cause, io.EOF), errors.Is(cause, io.ErrUnexpectedEOF),
		errors.Is(cause, syscall.ECONNRESET), errors.Is(cause, syscall.EPIPE):
		return "closed its connection."
	}
	return "disconnected: " + cause.Error() + "."
}

// endingOf is ending for a reason code. Mosquitto has fewer lines than there are
// codes; what it has none for gets the code's name.
func endingOf(code mqtt.ReasonCode, cause error) string {
	switch code {
	case mqtt.ServerShuttingDown:
		return ""
	case mqtt.Success, mqtt.DisconnectWithWill:
		return "disconnected."
	case mqtt.SessionTakenOver:
		return "already connected, closing old connection."
	case mqtt.KeepAliveTimeout:
		return "has exceeded timeout, disconnecting."
	case mqtt.MalformedPacket:
		return "disconnected due to malformed packet."
	case mqtt.ProtocolError:
		return "disconnected due to protocol error."
	case mqtt.PacketTooLarge:
		return "disconnected due to oversize packet."
	case mqtt.NotAuthorized, mqtt.BadUserNameOrPassword:
		return "disconnected, not authorised."
	case mqtt.QoSNotSupported, mqtt.RetainNotSupported, mqtt.BadAuthenticationMethod:
		return "disconnected due to using not allowed feature (QoS too high, retain not supported, or bad AUTH method)."
	case mqtt.AdministrativeAction:
		return "been disconnected by administrative action."
	}
	return "disconnected: " + cause.Error() + "."
}

func (o *Observer) subscribed(c *broker.Client, filter string, qos byte) {
	if o.takes(LevelSubscribe) {
		o.client(LevelSubscribe, c, "%s %d %s", c.ID, qos, filter)
	}
}

func (o *Observer) unsubscribed(c *broker.Client, filter string) {
	if o.takes(LevelUnsubscribe) {
		o.client(LevelUnsubscribe, c, "%s %s", c.ID, filter)
	}
}

// limited logs a subscription that a limit has refused, once a minute for each client.
func (o *Observer) limited(c *broker.Client, filter string, cause error) {
	if ok, _ := o.limits.enter(time.Now(), denial{client: c.ID, topic: cause.Error()}); ok {
		o.client(LevelWarning, c, "Denied subscribe of client %s to '%s': %v.", name(c), filter, cause)
	}
}

func (o *Observer) dropped(clientID string, cause broker.DropCause, topic string) {
	o.printf(LevelDebug, "Dropped message for %s ('%s'): %s", clientID, topic, cause)
}

func (o *Observer) panicked(c *broker.Client, value any, packet, stack []byte) {
	o.log.LogAttrs(context.Background(), LevelError, "Internal fault; only this connection was closed.",
		slog.String("client", name(c)), slog.Any("fault", value), slog.String("packet", dump(packet)), slog.String("stack", string(stack)))
}

// dump writes the beginning of a packet in hex, and its length.
func dump(packet []byte) string {
	const most = 256
	if len(packet) <= most {
		return fmt.Sprintf("% x", packet)
	}
	return fmt.Sprintf("% x ... (%d bytes)", packet[:most], len(packet))
}
