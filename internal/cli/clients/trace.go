package clients

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/mqtt"
)

// output is standard output and standard error. Its methods may be called from several
// goroutines; each writes at once.
type output struct {
	mu     sync.Mutex
	out    *bufio.Writer
	errors io.Writer
	quiet  bool // prints no errors
}

func newOutput(stdout, stderr io.Writer, quiet bool) *output {
	return &output{out: bufio.NewWriter(stdout), errors: stderr, quiet: quiet}
}

// write writes to standard output.
func (o *output) write(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.out.Write(p)
	_ = o.out.Flush() // nobody is there to hear of a failure
}

// errorf writes to standard error, unless --quiet was given.
func (o *output) errorf(f string, args ...any) {
	if o.quiet {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.errors, f, args...)
}

// tracer prints what -d asks for.
type tracer struct {
	out     *output
	enabled bool
	granted bool // print what a SUBACK grants, too

	mu      sync.Mutex
	id      string // the client identifier
	version mqtt.Version
}

// printf prints a line about the client.
func (t *tracer) printf(f string, args ...any) {
	if !t.enabled {
		return
	}
	t.mu.Lock()
	id := t.id
	t.mu.Unlock()
	if id == "" {
		id = "null"
	}
	t.out.write(fmt.Appendf(nil, "Client %s %s\n", id, fmt.Sprintf(f, args...)))
}

// connect notes who connects.
func (t *tracer) connect(p *mqtt.Connect) {
	t.mu.Lock()
	t.id, t.version = p.ClientID, p.Version
	t.mu.Unlock()
	t.printf("sending CONNECT")
}

// connack notes the client identifier that the server may have chosen.
func (t *tracer) connack(p *mqtt.Connack) {
	t.mu.Lock()
	if p.Properties.Has(mqtt.PropAssignedClientID) {
		t.id = string(p.Properties.AssignedClientID)
	}
	version := t.version
	t.mu.Unlock()
	t.printf("received CONNACK (%d)", connackCode(version, p.Reason))
}

// packet prints a line about a packet.
func (t *tracer) packet(dir client.Direction, p mqtt.Packet) {
	if !t.enabled {
		return
	}
	verb := "sending "
	if dir == client.Received {
		verb = "received "
	}
	switch p := p.(type) {
	case *mqtt.Connect:
		t.connect(p)
	case *mqtt.Connack:
		t.connack(p)
	case *mqtt.Publish:
		t.printf("%sPUBLISH (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", verb,
			number(p.Dup), p.QoS, number(p.Retain), p.PacketID, p.Topic, len(p.Payload))
	case *mqtt.Ack:
		t.ack(dir, p)
	case *mqtt.Subscribe:
		for _, s := range p.Subscriptions {
			t.printf("%sSUBSCRIBE (Mid: %d, Topic: %s, QoS: %d, Options: 0x%02x)", verb,
				p.PacketID, s.Filter, s.Options.QoS(), byte(s.Options)&^3)
		}
	case *mqtt.Unsubscribe:
		for _, filter := range p.Filters {
			t.printf("%sUNSUBSCRIBE (Mid: %d, Topic: %s)", verb, p.PacketID, filter)
		}
	case *mqtt.Suback:
		t.printf("%sSUBACK", verb)
		if t.granted {
			t.subscribed(p)
		}
	case *mqtt.Disconnect:
		if dir == client.Received {
			t.out.write(fmt.Appendf(nil, "Received DISCONNECT (%d)\n", p.Reason))
		} else {
			t.printf("sending DISCONNECT")
		}
	default:
		t.printf("%s%v", verb, p.Type())
	}
}

func (t *tracer) ack(dir client.Direction, a *mqtt.Ack) {
	switch {
	case dir == client.Received && (a.Kind == mqtt.PUBACK || a.Kind == mqtt.PUBCOMP):
		t.printf("received %v (Mid: %d, RC:%d)", a.Kind, a.PacketID, a.Reason)
	case dir == client.Received:
		t.printf("received %v (Mid: %d)", a.Kind, a.PacketID)
	case a.Kind == mqtt.PUBACK || a.Kind == mqtt.PUBREC:
		t.printf("sending %v (m%d, rc%d)", a.Kind, a.PacketID, a.Reason)
	default:
		t.printf("sending %v (m%d)", a.Kind, a.PacketID)
	}
}

// subscribed prints what the server granted.
func (t *tracer) subscribed(p *mqtt.Suback) {
	granted := make([]string, len(p.Reasons))
	for i, r := range p.Reasons {
		granted[i] = fmt.Sprint(uint8(r))
	}
	t.out.write(fmt.Appendf(nil, "Subscribed (mid: %d): %s\n", p.PacketID, strings.Join(granted, ", ")))
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
