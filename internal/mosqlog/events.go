package mosqlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// Events returns the observer that logs what the engine does. What log does not
// take when Events is called is not observed at all: packets, which are many, cost
// nothing unless debug messages are logged. connectionMessages is the option of
// that name.
func Events(log *slog.Logger, connectionMessages bool) broker.Events {
	o := observer{log}
	e := broker.Events{Panicked: o.panicked}
	if connectionMessages && o.takes(LevelNotice) {
		e.Opened, e.Connected = o.opened, o.connected
		e.Refused, e.Disconnected = o.disconnected, o.disconnected
	}
	if o.takes(LevelDebug) {
		e.Received, e.Sent, e.Dropped = o.received, o.sent, o.dropped
	}
	if o.takes(LevelSubscribe) {
		e.Subscribed = o.subscribed
	}
	if o.takes(LevelUnsubscribe) {
		e.Unsubscribed = o.unsubscribed
	}
	return e
}

// observer logs events.
type observer struct{ log *slog.Logger }

func (o observer) takes(level slog.Level) bool {
	return o.log.Enabled(context.Background(), level)
}

func (o observer) printf(level slog.Level, format string, args ...any) {
	o.log.Log(context.Background(), level, fmt.Sprintf(format, args...))
}

func (o observer) opened(remote, local net.Addr) {
	if addr, ok := local.(*net.TCPAddr); ok {
		o.printf(LevelNotice, "New connection from %s on port %d.", remote, addr.Port)
		return
	}
	o.printf(LevelNotice, "New connection on %s.", local)
}

func (o observer) connected(c *broker.Client) {
	user := ""
	if c.HasUsername {
		user = ", u'" + c.Username + "'"
	}
	o.printf(LevelNotice, "New client connected from %s as %s (p%d, c%d, k%d%s).",
		c.RemoteAddr, c.ID, protocol(c.Version), bit(c.CleanStart), c.KeepAlive, user)
}

// protocol returns Mosquitto's number of a protocol version.
func protocol(v mqtt.Version) int {
	switch v {
	case mqtt.V31:
		return 1
	case mqtt.V311:
		return 2
	case mqtt.V5:
		return 5
	}
	return 0
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// disconnected logs the end of a connection that was accepted or refused.
func (o observer) disconnected(c *broker.Client, cause error) {
	if line := ending(cause); line != "" {
		o.printf(LevelNotice, "Client %s %s", name(c), line)
	}
}

// name returns how a line calls a client: by its id, else by its address.
func name(c *broker.Client) string {
	if c == nil {
		return "<unknown>"
	}
	if c.ID != "" || c.RemoteAddr == nil {
		return c.ID
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

func (o observer) subscribed(c *broker.Client, filter string, qos byte) {
	o.printf(LevelSubscribe, "%s %d %s", c.ID, qos, filter)
}

func (o observer) unsubscribed(c *broker.Client, filter string) {
	o.printf(LevelUnsubscribe, "%s %s", c.ID, filter)
}

func (o observer) dropped(clientID string, cause broker.DropCause, topic string) {
	o.printf(LevelDebug, "Dropped message for %s ('%s'): %s", clientID, topic, cause)
}

func (o observer) panicked(c *broker.Client, value any, stack []byte) {
	o.log.LogAttrs(context.Background(), LevelError, "Internal fault; only this connection was closed.",
		slog.String("client", name(c)), slog.Any("fault", value), slog.String("stack", string(stack)))
}
