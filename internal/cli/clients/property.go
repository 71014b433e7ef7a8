package clients

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// propertyCommands are the first arguments of -D with the properties that each may have.
// Those without any are known and not supported, as in Mosquitto.
var propertyCommands = map[string]string{
	"connect": "authentication-data authentication-method maximum-packet-size receive-maximum " +
		"request-problem-information request-response-information session-expiry-interval topic-alias-maximum user-property",
	"publish": "content-type correlation-data message-expiry-interval payload-format-indicator response-topic " +
		"topic-alias user-property",
	"subscribe":   "subscription-identifier user-property",
	"unsubscribe": "user-property",
	"disconnect":  "session-expiry-interval user-property reason-string",
	"will": "content-type correlation-data message-expiry-interval payload-format-indicator response-topic " +
		"user-property will-delay-interval",
	"auth": "", "connack": "", "puback": "", "pubcomp": "", "pubrec": "", "pubrel": "", "suback": "", "unsuback": "",
}

// propertyKind says how a property's value is written.
type propertyKind struct {
	id   mqtt.PropertyID
	most int64 // the largest number; 0: a text
	set  func(p *mqtt.Properties, text string, number int64)
}

// textKind is a property whose value is a text or binary.
func textKind(id mqtt.PropertyID, set func(p *mqtt.Properties, s string)) propertyKind {
	return propertyKind{id, 0, func(p *mqtt.Properties, s string, _ int64) { set(p, s) }}
}

// numberKind is a property whose value is a number.
func numberKind(id mqtt.PropertyID, most int64, set func(p *mqtt.Properties, n int64)) propertyKind {
	return propertyKind{id, most, func(p *mqtt.Properties, _ string, n int64) { set(p, n) }}
}

const (
	most8  = 1<<8 - 1
	most16 = 1<<16 - 1
	most32 = 1<<32 - 1
)

// propertyKinds are all properties that a client may send, user-property excepted.
var propertyKinds = map[string]propertyKind{
	"authentication-data":   textKind(mqtt.PropAuthData, func(p *mqtt.Properties, s string) { p.SetAuthData([]byte(s)) }),
	"authentication-method": textKind(mqtt.PropAuthMethod, (*mqtt.Properties).SetAuthMethod),
	"content-type":          textKind(mqtt.PropContentType, (*mqtt.Properties).SetContentType),
	"correlation-data":      textKind(mqtt.PropCorrelationData, func(p *mqtt.Properties, s string) { p.SetCorrelationData([]byte(s)) }),
	"reason-string":         textKind(mqtt.PropReasonString, (*mqtt.Properties).SetReasonString),
	"response-topic":        textKind(mqtt.PropResponseTopic, (*mqtt.Properties).SetResponseTopic),
	"maximum-packet-size": numberKind(mqtt.PropMaximumPacketSize, most32, func(p *mqtt.Properties, n int64) {
		p.SetMaximumPacketSize(uint32(n))
	}),
	"message-expiry-interval": numberKind(mqtt.PropMessageExpiry, most32, func(p *mqtt.Properties, n int64) {
		p.SetMessageExpiry(uint32(n))
	}),
	"payload-format-indicator": numberKind(mqtt.PropPayloadFormat, most8, func(p *mqtt.Properties, n int64) {
		p.SetPayloadFormat(byte(n))
	}),
	"receive-maximum": numberKind(mqtt.PropReceiveMaximum, most16, func(p *mqtt.Properties, n int64) {
		p.SetReceiveMaximum(uint16(n))
	}),
	"request-problem-information": numberKind(mqtt.PropRequestProblemInfo, most8, func(p *mqtt.Properties, n int64) {
		p.RequestProblemInfo = byte(n)
		p.Set(mqtt.PropRequestProblemInfo)
	}),
	"request-response-information": numberKind(mqtt.PropRequestResponseInfo, most8, func(p *mqtt.Properties, n int64) {
		p.RequestResponseInfo = byte(n)
		p.Set(mqtt.PropRequestResponseInfo)
	}),
	"session-expiry-interval": numberKind(mqtt.PropSessionExpiry, most32, func(p *mqtt.Properties, n int64) {
		p.SetSessionExpiry(uint32(n))
	}),
	"subscription-identifier": numberKind(mqtt.PropSubscriptionID, 268_435_455, func(p *mqtt.Properties, n int64) {
		p.AddSubscriptionID(uint32(n))
	}),
	"topic-alias": numberKind(mqtt.PropTopicAlias, most16, func(p *mqtt.Properties, n int64) {
		p.SetTopicAlias(uint16(n))
	}),
	"topic-alias-maximum": numberKind(mqtt.PropTopicAliasMaximum, most16, func(p *mqtt.Properties, n int64) {
		p.SetTopicAliasMaximum(uint16(n))
	}),
	"will-delay-interval": numberKind(mqtt.PropWillDelay, most32, func(p *mqtt.Properties, n int64) {
		p.SetWillDelay(uint32(n))
	}),
}

// propertyList are the properties of one command.
type propertyList struct {
	mqtt.Properties
	wrong error // found later, as in Mosquitto, when all options were read
}

// properties returns the properties given for a command, to be copied into its packet.
func (c *clientConfig) properties(command string) mqtt.Properties {
	if l := c.props[command]; l != nil {
		return l.Properties
	}
	return mqtt.Properties{}
}

// setProperty handles -D. The arguments come joined (see argv.go).
func (c *clientConfig) setProperty(joined string) error {
	args := strings.Split(joined, argumentSeparator)
	if len(args) < 3 {
		return badArgument("--property argument given but not enough arguments specified.")
	}
	command, name := strings.ToLower(args[0]), args[1]
	allowed, known := propertyCommands[command]
	kind, exists := propertyKinds[name]
	switch {
	case !known:
		return badArgument("Invalid command given in --property argument.")
	case !exists && name != "user-property":
		return badArgument("Invalid property name given in --property argument.")
	case allowed == "":
		return badArgument("%s property not supported for %s in --property argument.", name, args[0])
	case !slices.Contains(strings.Fields(allowed), name):
		return badArgument("%s property not allowed for %s in --property argument.", name, args[0])
	}
	c.version = mqtt.V5 // unless -V says otherwise later
	list := c.props[command]
	if list == nil {
		list = &propertyList{}
		c.props[command] = list
	}
	if name == "user-property" {
		if len(args) < 4 {
			return badArgument("--property argument given but not enough arguments specified.")
		}
		list.AddUser(args[2], args[3])
		return nil
	}
	return list.add(name, kind, args[2])
}

func (l *propertyList) add(name string, kind propertyKind, value string) error {
	var number int64
	if kind.most > 0 {
		if number = leadingInt64(value); number < 0 || number > kind.most {
			return badArgument("Property value (%d) out of range for property %s.", number, name)
		}
	} else if len(value) > most16 {
		return badArgument("Property value too long for property %s.", name)
	}
	if l.Has(kind.id) {
		l.wrong = errors.New("Duplicate property in property list") //nolint:staticcheck // Mosquitto's words
	}
	kind.set(&l.Properties, value, number)
	return nil
}

// check finds values that the specification forbids.
func (l *propertyList) check() error {
	zero := l.Has(mqtt.PropReceiveMaximum) && l.ReceiveMaximum == 0 ||
		l.Has(mqtt.PropMaximumPacketSize) && l.MaximumPacketSize == 0 ||
		l.Has(mqtt.PropTopicAlias) && l.TopicAlias == 0 ||
		l.Has(mqtt.PropSubscriptionID) && slices.Contains(l.SubscriptionIDs, 0)
	if l.wrong == nil && (zero || l.PayloadFormat > 1 || l.RequestProblemInfo > 1 || l.RequestResponseInfo > 1) {
		return errors.New(textProtocol) //nolint:staticcheck // Mosquitto's words
	}
	return l.wrong
}

// leadingInt64 is leadingInt for larger numbers.
func leadingInt64(s string) int64 {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[end] == '-' || s[end] == '+')) {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64) // 0 without a number, the nearest that fits beyond the range
	return n
}
