// Package illegal is a catalogue of what no client may send, and of much that looks so and is legal, each with the
// reaction that the specification asks of a server: the reason code in CONNACK or DISCONNECT before 5.0's connection
// closes, a plain close before 5.0, or none at all. Tests run it against the engine in memory and against the
// command over a socket.
//
// The reactions come from the specification. Where it leaves a choice, the catalogue holds Unio's: a malformed
// CONNECT of 5.0 is answered by CONNACK with 0x81 or 0x82, which the standard allows and does not demand, as soon as
// the packet says that it is 5.0. A packet is malformed, 0x81, if it cannot be read as its type's format or holds a
// reserved bit or a property that its type does not have; it is a protocol error, 0x82, if it can be read and says
// what may not be said (1.2 and 4.13 of the standard).
package illegal

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// A Case is something to send and what must come back.
type Case struct {
	Name    string
	Version mqtt.Version
	// Connected says that Send follows a CONNECT, Clean Start 1, that was accepted; else it is the first on the connection.
	Connected bool
	Send      []byte
	// Want is what the server sends, and then "close" or "on", such as "DISCONNECT 0x81, close". Connected and "on" means
	// that PINGREQ is answered.
	Want string
	// Spec names the statements that the case checks, as scripts do: "5: 3.1.2-3".
	Spec []string
}

// Reactions.
const (
	closes    = "close"
	goesOn    = "on"
	malformed = "DISCONNECT 0x81, close"
	protocol  = "DISCONNECT 0x82, close"
)

// Cases returns the catalogue of one protocol version.
func Cases(v mqtt.Version) []Case {
	c := &catalogue{version: v}
	c.flags()
	c.truncated()
	c.trailing()
	c.lengths()
	c.order()
	c.packetIDs()
	c.connects()
	c.texts()
	c.topics()
	c.filters()
	c.publishes()
	if v == mqtt.V5 {
		c.reasons()
		c.misplaced()
		c.repeated()
		c.values()
		c.propertyLengths()
	}
	return c.cases
}

// catalogue collects the cases of a version.
type catalogue struct {
	version mqtt.Version
	cases   []Case
}

// add appends a case for a connected client.
func (c *catalogue) add(name string, send []byte, want string, spec ...string) {
	c.cases = append(c.cases, Case{
		Name: c.name(name), Version: c.version, Connected: true, Send: send, Want: c.reaction(want), Spec: c.statements(spec),
	})
}

// first appends a case for a connection on which nothing was sent.
func (c *catalogue) first(name string, send []byte, want string, spec ...string) {
	if c.version < mqtt.V5 && (strings.HasPrefix(want, "CONNACK 0x8") || strings.HasPrefix(want, "CONNACK 0x9")) {
		want = closes
	}
	c.cases = append(c.cases, Case{
		Name: c.name(name), Version: c.version, Send: send, Want: want, Spec: c.statements(spec),
	})
}

func (c *catalogue) name(name string) string {
	return strings.ReplaceAll(name, " ", "_")
}

// reaction is the reaction as the version knows it: before 5.0 a server can only close.
func (c *catalogue) reaction(want string) string {
	if c.version < mqtt.V5 && strings.HasPrefix(want, "DISCONNECT") {
		return closes
	}
	return want
}

// statements keeps those of the case's version.
func (c *catalogue) statements(all []string) []string {
	mine := "3: "
	if c.version == mqtt.V5 {
		mine = "5: "
	}
	var out []string
	for _, s := range all {
		if strings.HasPrefix(s, mine) {
			out = append(out, s)
		}
	}
	return out
}

// v5 is true for what exists only since 5.0.
func (c *catalogue) v5() bool { return c.version == mqtt.V5 }

// describe writes what a server sent in the words of Want.
func describe(v mqtt.Version, frame []byte) (string, error) {
	const code = 3 // where CONNACK has its code, in all versions
	if mqtt.Type(frame[0]>>4) == mqtt.CONNACK && len(frame) > code {
		return fmt.Sprintf("CONNACK 0x%02X", frame[code]), nil
	}
	p, err := mqtt.Decode(v, frame)
	if err != nil {
		return "", err
	}
	return words(p), nil
}

func words(p mqtt.Packet) string {
	switch p := p.(type) {
	case *mqtt.Disconnect:
		return fmt.Sprintf("DISCONNECT 0x%02X", byte(p.Reason))
	case *mqtt.Ack:
		return fmt.Sprintf("%v 0x%02X", p.Kind, byte(p.Reason))
	case *mqtt.Auth:
		return fmt.Sprintf("AUTH 0x%02X", byte(p.Reason))
	case *mqtt.Suback:
		return fmt.Sprintf("SUBACK % X", p.Reasons)
	case *mqtt.Unsuback:
		return fmt.Sprintf("UNSUBACK % X", p.Reasons)
	default:
		return p.Type().String()
	}
}
