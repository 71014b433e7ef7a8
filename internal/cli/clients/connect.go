package clients

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/mqtt"
)

// clientLink connects to the server, again after a connection is lost: it keeps what all
// connections have in common.
type clientLink struct {
	cfg     *clientConfig
	dialer  client.Dialer
	options client.Options
	trace   *tracer
}

// newLink prepares connections; nothing is sent yet.
func (c *clientConfig) newLink(out *output, onPublish func(*mqtt.Publish)) (*clientLink, error) {
	l := &clientLink{cfg: c, dialer: client.Dialer{Bind: c.bind, Nagle: c.nagle}}
	if c.unix != "" {
		l.dialer.Network, l.dialer.Address = "unix", c.unix
	} else {
		port := c.port
		secure := c.tls.wanted(port)
		switch {
		case port == 0 && secure:
			port = tlsPort
		case port == 0:
			port = 1883
		}
		host := c.host
		if host == "" {
			host = "localhost"
		}
		l.dialer.Address = net.JoinHostPort(host, strconv.Itoa(port))
		if secure {
			var err error
			if l.dialer.TLS, err = c.tls.config(host); err != nil {
				return nil, err
			}
		}
	}
	connect := c.connect()
	if err := checkLengths(&connect); err != nil {
		return nil, err
	}
	l.trace = &tracer{out: out, enabled: c.debug, granted: c.tool == toolSub}
	l.options = client.Options{
		Connect: connect, Session: new(client.Session), OnPublish: onPublish,
		Inflight: c.inflight, Trace: l.trace.packet,
	}
	return l, nil
}

// connect returns the CONNECT packet.
func (c *clientConfig) connect() mqtt.Connect {
	p := mqtt.Connect{
		Version: c.version, CleanStart: !c.unclean, KeepAlive: c.keepAlive, ClientID: c.id,
		Properties: c.properties("connect"),
	}
	switch {
	case c.idPrefix != "":
		p.ClientID = c.idPrefix + strconv.Itoa(os.Getpid())
	case c.id == "" && c.version == mqtt.V31: // which knows no empty one
		p.ClientID = "mosq-" + rand.Text()[:18]
	}
	if c.username != nil {
		p.HasUsername, p.Username = true, *c.username
	}
	if c.password != nil {
		p.HasPassword, p.Password = true, []byte(*c.password)
	}
	if c.willSet.topic {
		will := c.will
		will.Properties = c.properties("will")
		p.Will = &will
	}
	if expiry, given := c.sessionExpiry(); given {
		p.Properties.SetSessionExpiry(expiry)
	}
	return p
}

// checkLengths finds what is longer than CONNECT can carry. Topics and properties were checked
// where they were given.
func checkLengths(p *mqtt.Connect) error {
	fields := []struct {
		name   string
		length int
	}{{"client id", len(p.ClientID)}, {"user name", len(p.Username)}, {"password", len(p.Password)}, {"will payload", 0}}
	if p.Will != nil {
		fields[3].length = len(p.Will.Payload)
	}
	for _, f := range fields {
		if f.length > most16 {
			return badUsage("Invalid %s, it has %d bytes and may have %d.", f.name, f.length, most16)
		}
	}
	return nil
}

// sessionExpiry returns the session expiry interval of -x and -c.
func (c *clientConfig) sessionExpiry() (seconds uint32, given bool) {
	switch {
	case c.expiry != nil:
		return *c.expiry, *c.expiry != 0
	case c.unclean && c.version == mqtt.V5:
		return most32, true
	}
	return 0, false
}

// open connects once.
func (l *clientLink) open(ctx context.Context) (*client.Client, error) {
	conn, err := l.dialer.Dial(ctx)
	if err != nil {
		return nil, l.dialError(err)
	}
	c, err := client.Connect(ctx, conn, l.options)
	var refused *client.RefusedError
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &refused):
		return nil, l.refusal(refused)
	}
	return nil, lossError(err)
}

// refusal is the error of a connection that the server refused.
func (l *clientLink) refusal(refused *client.RefusedError) error {
	reason := refused.Connack.Reason
	text := "Connection error: " + connackText(refused.Version, reason)
	if refused.Version == mqtt.V5 && reason == mqtt.UnsupportedProtocolVersion {
		if l.cfg.tool == toolRR {
			text += ". mosquitto_rr only supports connecting to an MQTT v5 broker"
		} else {
			text += ". Try connecting to an MQTT v5 broker, or use MQTT v3.x mode."
		}
	}
	text += "\n"
	if l.cfg.tool == toolPub {
		if refused.Version == mqtt.V5 {
			text += "Error: " + textProtocol + "\n"
		} else {
			text += "Error: " + textRefused + "\n"
		}
	}
	if l.cfg.tool == toolSub {
		l.trace.printf("sending DISCONNECT") // mosquitto_sub does, though nobody listens any more
	}
	return &plainError{connackCode(refused.Version, reason), text, true}
}

// dialError is the error of a connection that was not made.
func (l *clientLink) dialError(err error) error {
	var dns *net.DNSError
	var failedTLS *client.TLSError
	switch {
	case errors.As(err, &dns):
		return failed("Unable to connect (Lookup error.).")
	case errors.As(err, &failedTLS):
		return &plainError{status: statusTLS, text: fmt.Sprintf("TLS error: %v\nError: %s\n", failedTLS.Err, textTLS)}
	}
	return failed("Error: %s", systemText(err))
}

// lossError is the error of a connection that has ended.
func lossError(err error) error {
	if _, ok := errors.AsType[*mqtt.Error](err); ok {
		return &plainError{status: statusProtocol, text: "Error: " + textProtocol + "\n"}
	}
	return &plainError{status: statusLost, text: "Error: " + textLost + "\n"}
}

// disconnect says good-bye, with the properties of -D disconnect.
func (l *clientLink) disconnect(c *client.Client, reason mqtt.ReasonCode) {
	d := &mqtt.Disconnect{Reason: reason, Properties: l.cfg.properties("disconnect")}
	ctx, cancel := context.WithTimeout(context.Background(), client.DefaultTimeout)
	defer cancel()
	_ = c.Disconnect(ctx, d) // whatever the answer, the tool has done its work
}
