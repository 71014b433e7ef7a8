package mqttscript

import (
	"bytes"
	"math"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// property describes a property of MQTT 5.0: its name in scripts, the packets that
// carry it, and how to read and write it. Those of a will are further entries,
// with the prefix "will-" and the pseudo packet WILL, which stands for CONNECT.
type property struct {
	name    string
	id      mqtt.PropertyID // [MQTT 5.0, 2.2.2.2]
	packets string
	kind    kind
	max     uint64
	many    bool
	get     func(*mqtt.Properties) []value
	put     func(*mqtt.Properties, value)
}

const acks = "PUBACK PUBREC PUBREL PUBCOMP "

// properties is the table of all properties, in the order in which they are shown.
var properties = makeProperties()

func makeProperties() []property {
	list := []property{
		numeric("session-expiry", mqtt.PropSessionExpiry, "CONNECT CONNACK DISCONNECT", at(func(p *mqtt.Properties) *uint32 { return &p.SessionExpiry })),
		numeric("receive-max", mqtt.PropReceiveMaximum, "CONNECT CONNACK", at(func(p *mqtt.Properties) *uint16 { return &p.ReceiveMaximum })),
		numeric("max-qos", mqtt.PropMaximumQoS, "CONNACK", at(func(p *mqtt.Properties) *byte { return &p.MaximumQoS })),
		numeric("retain-available", mqtt.PropRetainAvailable, "CONNACK", at(func(p *mqtt.Properties) *byte { return &p.RetainAvailable })),
		numeric("max-packet", mqtt.PropMaximumPacketSize, "CONNECT CONNACK", at(func(p *mqtt.Properties) *uint32 { return &p.MaximumPacketSize })),
		textual("assigned-id", mqtt.PropAssignedClientID, "CONNACK", kindText, func(p *mqtt.Properties) *[]byte { return &p.AssignedClientID }),
		numeric("alias-max", mqtt.PropTopicAliasMaximum, "CONNECT CONNACK", at(func(p *mqtt.Properties) *uint16 { return &p.TopicAliasMaximum })),
		numeric("wildcard-available", mqtt.PropWildcardAvailable, "CONNACK", at(func(p *mqtt.Properties) *byte { return &p.WildcardAvailable })),
		numeric("subid-available", mqtt.PropSubscriptionIDAvailable, "CONNACK", at(func(p *mqtt.Properties) *byte { return &p.SubscriptionIDAvailable })),
		numeric("shared-available", mqtt.PropSharedAvailable, "CONNACK", at(func(p *mqtt.Properties) *byte { return &p.SharedAvailable })),
		numeric("server-keepalive", mqtt.PropServerKeepAlive, "CONNACK", at(func(p *mqtt.Properties) *uint16 { return &p.ServerKeepAlive })),
		numeric("request-response", mqtt.PropRequestResponseInfo, "CONNECT", at(func(p *mqtt.Properties) *byte { return &p.RequestResponseInfo })),
		textual("response-info", mqtt.PropResponseInfo, "CONNACK", kindText, func(p *mqtt.Properties) *[]byte { return &p.ResponseInfo }),
		numeric("request-problem", mqtt.PropRequestProblemInfo, "CONNECT", at(func(p *mqtt.Properties) *byte { return &p.RequestProblemInfo })),
		textual("server-ref", mqtt.PropServerReference, "CONNACK DISCONNECT", kindText, func(p *mqtt.Properties) *[]byte { return &p.ServerReference }),
		textual("auth-method", mqtt.PropAuthMethod, "CONNECT CONNACK AUTH", kindText, func(p *mqtt.Properties) *[]byte { return &p.AuthMethod }),
		textual("auth-data", mqtt.PropAuthData, "CONNECT CONNACK AUTH", kindBlob, func(p *mqtt.Properties) *[]byte { return &p.AuthData }),
		numeric("alias", mqtt.PropTopicAlias, "PUBLISH", at(func(p *mqtt.Properties) *uint16 { return &p.TopicAlias })),
		numeric("will-delay", mqtt.PropWillDelay, "WILL", at(func(p *mqtt.Properties) *uint32 { return &p.WillDelay })),
		numeric("format", mqtt.PropPayloadFormat, "PUBLISH WILL", at(func(p *mqtt.Properties) *byte { return &p.PayloadFormat })),
		numeric("expiry", mqtt.PropMessageExpiry, "PUBLISH WILL", at(func(p *mqtt.Properties) *uint32 { return &p.MessageExpiry })),
		textual("content-type", mqtt.PropContentType, "PUBLISH WILL", kindText, func(p *mqtt.Properties) *[]byte { return &p.ContentType }),
		textual("response-topic", mqtt.PropResponseTopic, "PUBLISH WILL", kindText, func(p *mqtt.Properties) *[]byte { return &p.ResponseTopic }),
		textual("correlation", mqtt.PropCorrelationData, "PUBLISH WILL", kindBlob, func(p *mqtt.Properties) *[]byte { return &p.CorrelationData }),
		subscriptionIDs(),
		textual("reason", mqtt.PropReasonString, acks+"CONNACK SUBACK UNSUBACK DISCONNECT AUTH", kindText, func(p *mqtt.Properties) *[]byte { return &p.ReasonString }),
		userProperties(),
	}
	for _, p := range list {
		if strings.Contains(p.packets, "WILL") && p.name != "will-delay" {
			p.name, p.packets = "will-"+p.name, "WILL"
			list = append(list, p)
		}
	}
	return list
}

// in reports whether a packet carries the property.
func (p *property) in(packet string) bool {
	for name := range strings.FieldsSeq(p.packets) {
		if name == packet || name == "WILL" && packet == "CONNECT" && p.ofWill() {
			return true
		}
	}
	return false
}

// ofWill reports whether the property belongs to the will of a CONNECT.
func (p *property) ofWill() bool { return p.packets == "WILL" }

func (p *property) field() *fieldSpec {
	return &fieldSpec{name: p.name, kind: p.kind, max: p.max, many: p.many, since: mqtt.V5, property: p}
}

// accessor reads and writes a number of some width.
type accessor struct {
	max uint64
	get func(*mqtt.Properties) uint64
	put func(*mqtt.Properties, uint64)
}

func at[T ~uint8 | ~uint16 | ~uint32](field func(*mqtt.Properties) *T) accessor {
	return accessor{
		max: uint64(^T(0)),
		get: func(p *mqtt.Properties) uint64 { return uint64(*field(p)) },
		put: func(p *mqtt.Properties, n uint64) { *field(p) = T(n) },
	}
}

func numeric(name string, id mqtt.PropertyID, packets string, a accessor) property {
	return property{
		name: name, id: id, packets: packets, kind: kindNumber, max: a.max,
		get: func(p *mqtt.Properties) []value { return []value{numberValue(a.get(p))} },
		put: func(p *mqtt.Properties, v value) { a.put(p, v.num) },
	}
}

func textual(name string, id mqtt.PropertyID, packets string, k kind, field func(*mqtt.Properties) *[]byte) property {
	return property{
		name: name, id: id, packets: packets, kind: k,
		get: func(p *mqtt.Properties) []value { return []value{textValue(*field(p))} },
		put: func(p *mqtt.Properties, v value) { *field(p) = v.data },
	}
}

func subscriptionIDs() property {
	return property{
		name: "subid", id: mqtt.PropSubscriptionID, packets: "PUBLISH SUBSCRIBE", kind: kindNumber, max: 268_435_455, many: true,
		get: func(p *mqtt.Properties) []value {
			out := make([]value, len(p.SubscriptionIDs))
			for i, id := range p.SubscriptionIDs {
				out[i] = numberValue(uint64(id))
			}
			return out
		},
		put: func(p *mqtt.Properties, v value) { p.SubscriptionIDs = append(p.SubscriptionIDs, uint32(v.num)) },
	}
}

// userProperties is written prop="name=value"; the name ends at the first "=".
func userProperties() property {
	return property{
		name: "prop", id: mqtt.PropUser, kind: kindText, max: math.MaxUint16, many: true,
		packets: acks + "CONNECT CONNACK PUBLISH WILL SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK DISCONNECT AUTH",
		get: func(p *mqtt.Properties) []value {
			out := make([]value, len(p.User))
			for i, u := range p.User {
				out[i] = textValue(string(u.Name) + "=" + string(u.Value))
			}
			return out
		},
		put: func(p *mqtt.Properties, v value) {
			name, val, _ := bytes.Cut(v.data, []byte("="))
			p.User = append(p.User, mqtt.UserProperty{Name: name, Value: val})
		},
	}
}
