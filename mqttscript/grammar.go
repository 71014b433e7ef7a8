package mqttscript

import (
	"math"

	"github.com/uniomq/unio/mqtt"
)

// fieldSpec describes a field of a packet, by its name in scripts.
type fieldSpec struct {
	name string
	kind kind
	max  uint64 // the largest number
	many bool   // may stand several times; the order counts

	// since is the first version that has the field. For an earlier one a line that
	// names it is a mistake, or if silent is set the field is passed over.
	since  mqtt.Version
	silent bool

	property *property // nil: a part of the packet itself
}

// appliesTo reports whether the field exists in a version.
func (f *fieldSpec) appliesTo(v mqtt.Version) bool { return v >= f.since }

// packetSpec describes a packet.
type packetSpec struct {
	name      string
	sent      bool // clients send it
	received  bool // brokers send it
	since     mqtt.Version
	fields    []*fieldSpec
	needs     string // the field that every line must name, if any
	bareWords string // the field that a word without "=" is a value of, if any
	packet    func() mqtt.Packet
}

func (p *packetSpec) field(name string) *fieldSpec {
	for _, f := range p.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

func num(name string, limit uint64) *fieldSpec {
	return &fieldSpec{name: name, kind: kindNumber, max: limit}
}
func flag(name string) *fieldSpec { return &fieldSpec{name: name, kind: kindFlag, max: 1} }
func text(name string) *fieldSpec { return &fieldSpec{name: name, kind: kindText} }
func blob(name string) *fieldSpec { return &fieldSpec{name: name, kind: kindBlob} }

// from says that the field exists since a version.
func (f *fieldSpec) from(v mqtt.Version) *fieldSpec {
	f.since = v
	return f
}

// silentFrom says that the field exists since a version, and is passed over before.
func (f *fieldSpec) silentFrom(v mqtt.Version) *fieldSpec {
	f.since, f.silent = v, true
	return f
}

func (f *fieldSpec) repeated() *fieldSpec {
	f.many = true
	return f
}

func packetID() *fieldSpec { return num("pid", math.MaxUint16) }

// reasonCode is the rc of a packet that has carried one since 5.0.
func reasonCode() *fieldSpec { return num("rc", math.MaxUint8).silentFrom(mqtt.V5) }

// packets is the grammar of packet lines.
var packets = makePackets()

func makePackets() map[string]*packetSpec {
	qos := num("qos", 3)
	list := []*packetSpec{
		{
			name: "CONNECT", sent: true, packet: func() mqtt.Packet { return new(mqtt.Connect) },
			fields: []*fieldSpec{
				num("version", math.MaxUint8), text("id"), flag("clean"), num("keepalive", math.MaxUint16),
				text("user"), blob("pass"),
				text("will-topic"), blob("will-payload"), num("will-qos", 3), flag("will-retain"),
			},
		},
		{
			name: "CONNACK", received: true, packet: func() mqtt.Packet { return new(mqtt.Connack) },
			fields: []*fieldSpec{flag("session").silentFrom(mqtt.V311), num("rc", math.MaxUint8)},
		},
		{
			name: "PUBLISH", sent: true, received: true, packet: func() mqtt.Packet { return new(mqtt.Publish) },
			fields: []*fieldSpec{qos, flag("dup"), flag("retain"), packetID(), text("topic"), blob("payload")},
		},
		{
			name: "SUBSCRIBE", sent: true, needs: "pid", bareWords: "filter",
			packet: func() mqtt.Packet { return new(mqtt.Subscribe) },
			fields: []*fieldSpec{
				packetID(), text("filter").repeated(), num("qos", 3).repeated(),
				flag("nl").from(mqtt.V5).repeated(), flag("rap").from(mqtt.V5).repeated(),
				num("rh", 3).from(mqtt.V5).repeated(),
			},
		},
		{
			name: "SUBACK", received: true, needs: "rc", packet: func() mqtt.Packet { return new(mqtt.Suback) },
			fields: []*fieldSpec{packetID(), num("rc", math.MaxUint8).repeated()},
		},
		{
			name: "UNSUBSCRIBE", sent: true, needs: "pid", bareWords: "filter",
			packet: func() mqtt.Packet { return new(mqtt.Unsubscribe) },
			fields: []*fieldSpec{packetID(), text("filter").repeated()},
		},
		{
			name: "UNSUBACK", received: true, packet: func() mqtt.Packet { return new(mqtt.Unsuback) },
			fields: []*fieldSpec{packetID(), reasonCode().repeated()},
		},
		{name: "PINGREQ", sent: true, packet: func() mqtt.Packet { return new(mqtt.Pingreq) }},
		{name: "PINGRESP", received: true, packet: func() mqtt.Packet { return new(mqtt.Pingresp) }},
		{
			name: "DISCONNECT", sent: true, received: true,
			packet: func() mqtt.Packet { return new(mqtt.Disconnect) },
			fields: []*fieldSpec{reasonCode()},
		},
		{
			name: "AUTH", sent: true, received: true, since: mqtt.V5,
			packet: func() mqtt.Packet { return new(mqtt.Auth) },
			fields: []*fieldSpec{reasonCode()},
		},
	}
	for name, t := range ackTypes {
		list = append(list, &packetSpec{
			name: name, sent: true, received: true, needs: "pid",
			packet: func() mqtt.Packet { return &mqtt.Ack{Kind: t} },
			fields: []*fieldSpec{packetID(), reasonCode()},
		})
	}
	all := map[string]*packetSpec{}
	for _, p := range list {
		for _, prop := range properties {
			if prop.in(p.name) {
				p.fields = append(p.fields, prop.field())
			}
		}
		all[p.name] = p
	}
	return all
}

var ackTypes = map[string]mqtt.Type{
	"PUBACK": mqtt.PUBACK, "PUBREC": mqtt.PUBREC, "PUBREL": mqtt.PUBREL, "PUBCOMP": mqtt.PUBCOMP,
}

// typeNames are the packets' names by type.
var typeNames = map[mqtt.Type]string{
	mqtt.CONNECT: "CONNECT", mqtt.CONNACK: "CONNACK", mqtt.PUBLISH: "PUBLISH",
	mqtt.PUBACK: "PUBACK", mqtt.PUBREC: "PUBREC", mqtt.PUBREL: "PUBREL", mqtt.PUBCOMP: "PUBCOMP",
	mqtt.SUBSCRIBE: "SUBSCRIBE", mqtt.SUBACK: "SUBACK",
	mqtt.UNSUBSCRIBE: "UNSUBSCRIBE", mqtt.UNSUBACK: "UNSUBACK",
	mqtt.PINGREQ: "PINGREQ", mqtt.PINGRESP: "PINGRESP",
	mqtt.DISCONNECT: "DISCONNECT", mqtt.AUTH: "AUTH",
}
