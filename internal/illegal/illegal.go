// Package illegal is a catalogue of what no client may send, and of much that looks so and is legal, each with the
// reaction that the specification asks of a server: the reason code in CONNACK or DISCONNECT before 5.0's connection
// closes, a plain close before 5.0, or none at all. Tests run it against the engine in memory and against the
// command over a socket ([Play]).
//
// The reactions come from the specification. Where it leaves a choice, the catalogue holds Unio's:
//   - A CONNECT of 5.0 that is refused is answered by CONNACK, which the standard allows and does not demand, as soon as the
//     packet says that it is 5.0.
//   - A packet is malformed, 0x81, if it cannot be read as its type's format or holds a reserved bit or a property that its
//     type does not have; it is a protocol error, 0x82, if it can be read and says what may not be said (1.2 and 4.13
//     of the standard). So are values that the standard forbids without naming a code.
//   - Names with wildcards are malformed: 0x90 is for names that are not, and are not accepted.
//   - MQTT 3.1 says of most flags only that they are not used. They are not looked at, as in Mosquitto.
//   - 3.1 and 3.1.1 give no rule against a remaining length in more bytes than it needs, only an algorithm that never makes one. It is
//     taken, as in Mosquitto; 5.0 forbids it.
//   - A message that nobody subscribed to is acknowledged with 0x10 at QoS 1. PUBREC, PUBREL and PUBCOMP say 0, for a packet id
//     that is not known, too: not every client takes 0x10 and 0x92 for what they are.
//   - The limits that cases reach are Unio's defaults: Receive Maximum 20, Topic Alias Maximum 10, Maximum Packet Size
//     2,000,000 bytes, 200 topic levels.
package illegal

import (
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// A Case is something to send and what must come back.
type Case struct {
	Name    string // unique in its version
	Version mqtt.Version
	// Connected says that Send follows a CONNECT, Clean Start 1 and with a will, that was accepted; else it is the
	// first on the connection.
	Connected bool
	Send      []byte
	// Cut says that nothing can follow: the client closes its half of the connection behind Send.
	Cut bool
	// Want is what the server sends, and then "close" or "on", such as "DISCONNECT 0x81, close". "on" means that PINGREQ
	// is answered, and that the client can still subscribe and gets what it publishes.
	Want string
	// Farewell says that Send has a DISCONNECT that discards the will. In all other cases the will is published, however
	// the connection ended [MQTT-3.1.2-8].
	Farewell bool
	// Spec names the statements of the version's standard that the case checks, such as "MQTT-3.1.2-3".
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
	c.cuts()
	c.legal()
	if v == mqtt.V5 {
		c.reasons()
		c.misplaced()
		c.repeated()
		c.values()
		c.propertyLengths()
		c.legalProperties()
		c.legalReasons()
		c.receiveMaximum()
	}
	return c.cases
}

// catalogue collects the cases of a version.
type catalogue struct {
	version mqtt.Version
	cases   []Case
	clients int // that were given an id
}

// add appends a case for a connected client. What it returns holds until the next is added.
func (c *catalogue) add(name string, send []byte, want string, spec ...string) *Case {
	c.cases = append(c.cases, Case{
		Name: name, Version: c.version, Connected: true, Send: send, Want: c.reaction(want), Spec: c.statements(spec),
	})
	return &c.cases[len(c.cases)-1]
}

// first appends a case for a connection on which nothing was sent.
func (c *catalogue) first(name string, send []byte, want string, spec ...string) *Case {
	if c.version < mqtt.V5 && (strings.HasPrefix(want, "CONNACK 0x8") || strings.HasPrefix(want, "CONNACK 0x9")) {
		want = closes
	}
	c.cases = append(c.cases, Case{
		Name: name, Version: c.version, Send: send, Want: want, Spec: c.statements(spec),
	})
	return &c.cases[len(c.cases)-1]
}

// reaction is the reaction as the version knows it: before 5.0 a server can only close.
func (c *catalogue) reaction(want string) string {
	if c.version < mqtt.V5 && strings.HasPrefix(want, "DISCONNECT") {
		return closes
	}
	return want
}

// statements keeps those of the case's version; they are written as in scripts, "5: 3.1.2-3".
func (c *catalogue) statements(all []string) []string {
	mine := "3: "
	if c.version == mqtt.V5 {
		mine = "5: "
	}
	var out []string
	for _, s := range all {
		if id, ok := strings.CutPrefix(s, mine); ok {
			out = append(out, "MQTT-"+id)
		}
	}
	return out
}

// v5 is true for what exists only since 5.0.
func (c *catalogue) v5() bool { return c.version == mqtt.V5 }
