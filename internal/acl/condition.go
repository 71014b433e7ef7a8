package acl

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/uniomq/unio/broker"
)

// A condition is one of a rule: KEY=VALUE or KEY!=VALUE, where one of several values is enough.
type condition struct {
	key    *key
	name   string // of the attribute, for attribute.NAME
	negate bool
	text   string // as it is written

	// The values, by the key's kind.
	globs    []*glob
	prefixes []netip.Prefix
	ranges   []span
	on       bool
}

// A span is a range of numbers, both ends included.
type span struct{ low, high int }

// truth is what a condition says.
type truth uint8

const (
	no truth = iota
	yes
	unknown // of a client that is only remembered
)

// met reports whether a condition of the rule holds. What is not known anymore of a client, whose message was accepted when it
// was, is taken to be as it has to be for a grant, and not for a denial: else who is away would lose its retained
// messages and its will by each rule about addresses.
func (c *condition) met(r *Rule, f *facts, q *broker.Access) bool {
	t := c.test(f, q)
	if t == unknown {
		return r.Allow
	}
	return t == yes
}

// test evaluates the condition. q is nil for one about the client.
func (c *condition) test(f *facts, q *broker.Access) truth {
	var holds, known bool
	if c.key.question {
		holds, known = c.ask(f, q), !q.Source || c.key.id != keyDup
	} else {
		holds, known = c.look(f)
	}
	switch {
	case !known:
		return unknown
	case holds != c.negate:
		return yes
	}
	return no
}

// look evaluates a condition about the client. known is false if that is not known.
func (c *condition) look(f *facts) (holds, known bool) {
	cl := f.client
	switch c.key.id {
	case keyUser:
		return cl.HasUsername && c.matches(f, cl.Username), true
	case keyAnonymous:
		return cl.HasUsername != c.on, true
	case keyClient:
		return c.matches(f, cl.ID), true
	case keyListener:
		return c.matches(f, cl.Listener), true
	case keyGroup:
		holds = c.matchesAny(f, f.groups)
		return holds, holds || !cl.Partial
	case keyRole:
		holds = c.matchesAny(f, cl.Attributes[broker.AttributeRole])
	case keyAttribute:
		holds = c.matchesAny(f, cl.Attributes[c.name])
	case keyAddress:
		holds = slices.ContainsFunc(c.prefixes, func(p netip.Prefix) bool { return p.Contains(f.addr) })
	case keyPort:
		holds = f.port != 0 && c.inRange(f.port)
	case keyCleanStart:
		holds = cl.CleanStart == c.on
	case keyHasWill:
		holds = cl.HasWill == c.on
	case keyVersion:
		holds = c.matches(f, cl.Version.String())
	default:
		holds = c.lookTransport(f)
	}
	return holds, !cl.Partial
}

// lookTransport evaluates a condition about what lies below MQTT.
func (c *condition) lookTransport(f *facts) bool {
	t := f.client.Transport
	if c.key.id == keyTLS {
		return (t != nil && t.TLS != "") == c.on
	}
	if t == nil {
		return false
	}
	switch c.key.id {
	case keyCN:
		return t.CommonName != "" && c.matches(f, t.CommonName)
	case keySubject:
		return t.Subject != "" && c.matches(f, t.Subject)
	case keySAN:
		return c.matchesAny(f, t.Names)
	case keyFingerprint:
		return t.Fingerprint != "" && c.matches(f, plainHex(t.Fingerprint))
	case keyPSK:
		return t.PSKIdentity != "" && c.matches(f, t.PSKIdentity)
	default:
		return false
	}
}

// ask evaluates a condition about the single question.
func (c *condition) ask(f *facts, q *broker.Access) bool {
	switch c.key.id {
	case keyQoS:
		return c.inRange(int(q.QoS))
	case keyRetain:
		return q.Retain == c.on
	case keyDup:
		return q.Dup == c.on
	case keyShared:
		return (q.Share != "") == c.on
	case keyShare:
		return q.Share != "" && c.matches(f, q.Share)
	case keySize:
		return c.inRange(q.Size)
	default:
		return false
	}
}

func (c *condition) matches(f *facts, s string) bool {
	for _, g := range c.globs {
		if g.match(f, s) {
			return true
		}
	}
	return false
}

func (c *condition) matchesAny(f *facts, values []string) bool {
	for _, v := range values {
		if c.matches(f, v) {
			return true
		}
	}
	return false
}

func (c *condition) inRange(n int) bool {
	for _, s := range c.ranges {
		if s.low <= n && n <= s.high {
			return true
		}
	}
	return false
}

// plainHex returns a fingerprint as it is compared: without colons, in lower case.
func plainHex(s string) string { return strings.ToLower(strings.ReplaceAll(s, ":", "")) }
