package mqttscript

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// fieldValue is one field of a packet that was received, or that is to be sent.
// A repeatable field occurs several times, in order.
type fieldValue struct {
	name string
	val  value
}

// decode reads a packet that the broker sent.
func decode(v mqtt.Version, frame []byte) (*packetSpec, []fieldValue, error) {
	p, err := mqtt.Decode(v, frame)
	if err != nil {
		return nil, nil, err
	}
	spec, ok := packets[typeNames[p.Type()]]
	if !ok || !spec.received {
		return nil, nil, fmt.Errorf("a broker sends no %s", typeNames[p.Type()])
	}
	fields := slices.DeleteFunc(fieldsOf(p, v, frame), func(f fieldValue) bool {
		return !spec.field(f.name).appliesTo(v)
	})
	return spec, fields, nil
}

// fieldsOf lists a received packet's fields. Of the packet itself all are listed,
// of the properties those that are present.
func fieldsOf(p mqtt.Packet, v mqtt.Version, frame []byte) []fieldValue {
	switch p := p.(type) {
	case *mqtt.Connack:
		rc := byte(p.Reason)
		if v < mqtt.V5 {
			rc = frame[3] // the return code as it came, not the reason code that it means
		}
		return appendProperties([]fieldValue{
			{"session", flagValue(p.SessionPresent)},
			{"rc", numberValue(uint64(rc))},
		}, &p.Properties)
	case *mqtt.Publish:
		fields := []fieldValue{
			{"qos", numberValue(uint64(p.QoS))},
			{"dup", flagValue(p.Dup)},
			{"retain", flagValue(p.Retain)},
			{"pid", numberValue(uint64(p.PacketID))},
			{"topic", textValue(p.Topic)},
			{"payload", textValue(p.Payload)},
		}
		return appendProperties(fields, &p.Properties)
	case *mqtt.Ack:
		return ackFields(p.PacketID, []mqtt.ReasonCode{p.Reason}, &p.Properties)
	case *mqtt.Suback:
		return ackFields(p.PacketID, p.Reasons, &p.Properties)
	case *mqtt.Unsuback:
		return ackFields(p.PacketID, p.Reasons, &p.Properties)
	case *mqtt.Disconnect:
		return appendProperties([]fieldValue{{"rc", numberValue(uint64(p.Reason))}}, &p.Properties)
	case *mqtt.Auth:
		return appendProperties([]fieldValue{{"rc", numberValue(uint64(p.Reason))}}, &p.Properties)
	}
	return nil // PINGRESP
}

func ackFields(pid uint16, reasons []mqtt.ReasonCode, props *mqtt.Properties) []fieldValue {
	fields := []fieldValue{{"pid", numberValue(uint64(pid))}}
	for _, rc := range reasons {
		fields = append(fields, fieldValue{"rc", numberValue(uint64(rc))})
	}
	return appendProperties(fields, props)
}

func appendProperties(fields []fieldValue, props *mqtt.Properties) []fieldValue {
	for i := range properties {
		if prop := &properties[i]; !prop.ofWill() && props.Has(prop.id) {
			for _, v := range prop.get(props) {
				fields = append(fields, fieldValue{prop.name, v})
			}
		}
	}
	return fields
}

// build makes the packet that a line sends over a connection of version v.
func build(line *packetLine, vars map[string]value, v mqtt.Version) (mqtt.Packet, error) {
	p := line.spec.packet()
	if c, ok := p.(*mqtt.Connect); ok {
		c.Version, c.CleanStart = v, true
	}
	for _, f := range line.fields {
		if !f.spec.appliesTo(v) {
			continue
		}
		val, err := f.pattern.resolve(vars)
		if err != nil {
			return nil, err
		}
		if err := checkType(f.spec, val); err != nil {
			return nil, err
		}
		if f.spec.property != nil {
			putProperty(p, f.spec.property, val)
			continue
		}
		put(p, f.spec.name, val)
	}
	return p, nil
}

// checkType refuses a captured value that the field cannot hold.
func checkType(f *fieldSpec, v value) error {
	if v.text != f.kind.isText() || v.num > f.max && !v.text {
		return fmt.Errorf("%s= cannot hold %s", f.name, formatValue(f, v))
	}
	return nil
}

// putProperty sets a property of the packet, or of a CONNECT's will.
func putProperty(p mqtt.Packet, prop *property, v value) {
	props := propertiesOf(p)
	if c, ok := p.(*mqtt.Connect); ok && prop.ofWill() {
		props = &will(c).Properties
	}
	if props == nil {
		return // the grammar names no property for such a packet
	}
	props.Set(prop.id)
	prop.put(props, v)
}

func propertiesOf(p mqtt.Packet) *mqtt.Properties {
	switch p := p.(type) {
	case *mqtt.Connect:
		return &p.Properties
	case *mqtt.Publish:
		return &p.Properties
	case *mqtt.Ack:
		return &p.Properties
	case *mqtt.Subscribe:
		return &p.Properties
	case *mqtt.Unsubscribe:
		return &p.Properties
	case *mqtt.Disconnect:
		return &p.Properties
	case *mqtt.Auth:
		return &p.Properties
	}
	return nil
}

// put sets a part of the packet itself.
func put(p mqtt.Packet, name string, v value) {
	switch p := p.(type) {
	case *mqtt.Connect:
		putConnect(p, name, v)
	case *mqtt.Publish:
		putPublish(p, name, v)
	case *mqtt.Ack:
		if name == "pid" {
			p.PacketID = uint16(v.num)
		} else {
			p.Reason = mqtt.ReasonCode(v.num)
		}
	case *mqtt.Subscribe:
		putSubscribe(p, name, v)
	case *mqtt.Unsubscribe:
		if name == "pid" {
			p.PacketID = uint16(v.num)
		} else {
			p.Filters = append(p.Filters, string(v.data))
		}
	case *mqtt.Disconnect:
		p.Reason = mqtt.ReasonCode(v.num)
	case *mqtt.Auth:
		p.Reason = mqtt.ReasonCode(v.num)
	}
}

// will returns the CONNECT's will, which it makes if there is none.
func will(c *mqtt.Connect) *mqtt.Will {
	if c.Will == nil {
		c.Will = &mqtt.Will{}
	}
	return c.Will
}

func putConnect(c *mqtt.Connect, name string, v value) {
	switch name {
	case "id":
		c.ClientID = string(v.data)
	case "clean":
		c.CleanStart = v.num != 0
	case "keepalive":
		c.KeepAlive = uint16(v.num)
	case "user":
		c.HasUsername, c.Username = true, string(v.data)
	case "pass":
		c.HasPassword, c.Password = true, v.data
	case "will-topic":
		will(c).Topic = string(v.data)
	case "will-payload":
		will(c).Payload = v.data
	case "will-qos":
		will(c).QoS = byte(v.num)
	case "will-retain":
		will(c).Retain = v.num != 0
	}
}

func putPublish(p *mqtt.Publish, name string, v value) {
	switch name {
	case "qos":
		p.QoS = byte(v.num)
	case "dup":
		p.Dup = v.num != 0
	case "retain":
		p.Retain = v.num != 0
	case "pid":
		p.PacketID = uint16(v.num)
	case "topic":
		p.Topic = v.data
	case "payload":
		p.Payload = v.data
	}
}

// putSubscribe sets the packet id, begins an entry, or sets an option of the last
// entry, in bits 0-1, 2, 3 and 4-5 of its options [MQTT 5.0, 3.8.3.1].
func putSubscribe(p *mqtt.Subscribe, name string, v value) {
	shift := map[string]int{"qos": 0, "nl": 2, "rap": 3, "rh": 4}
	switch name {
	case "pid":
		p.PacketID = uint16(v.num)
	case "filter":
		p.Subscriptions = append(p.Subscriptions, mqtt.Subscription{Filter: string(v.data)})
	default:
		last := &p.Subscriptions[len(p.Subscriptions)-1]
		last.Options |= mqtt.SubscribeOptions(v.num << shift[name])
	}
}

// formatPacket writes a received packet as a script would.
func formatPacket(spec *packetSpec, fields []fieldValue) string {
	var b strings.Builder
	b.WriteString(spec.name)
	for _, f := range fields {
		fs := spec.field(f.name)
		switch {
		case f.name == "qos":
			b.WriteString(" q" + strconv.FormatUint(f.val.num, 10))
		case fs.property == nil && f.val.isZero() && f.name != "rc" && f.name != "session":
			// a flag that is not set, no packet id, an empty payload
		case fs.kind == kindFlag && f.name != "session":
			b.WriteString(" " + f.name)
		default:
			b.WriteString(" " + f.name + "=" + formatValue(fs, f.val))
		}
	}
	return b.String()
}

func formatValue(f *fieldSpec, v value) string {
	switch {
	case v.text:
		return formatText(v.data, f.kind == kindBlob)
	case f.name == "rc" && v.num >= 0x10:
		return fmt.Sprintf("0x%02x", v.num)
	}
	return strconv.FormatUint(v.num, 10)
}
