package mqtt_test

import (
	"errors"
	"fmt"

	"github.com/uniomq/unio/mqtt"
)

// A connection reads into a buffer, cuts packets off it and writes answers into
// another.
func Example() {
	publish := mqtt.Publish{QoS: 1, Topic: []byte("home/kitchen"), PacketID: 7, Payload: []byte("21.5")}
	publish.Properties.SetContentType("text/plain")
	in := publish.Append(nil, mqtt.V5)
	in = append(in, 0xC0, 0x00) // PINGREQ

	var out []byte
	for {
		frame, rest, err := mqtt.Split(in, 1<<20)
		if err != nil || frame == nil {
			break
		}
		in = rest
		packet, err := mqtt.Decode(mqtt.V5, frame)
		if err != nil {
			break
		}
		switch p := packet.(type) {
		case *mqtt.Publish:
			fmt.Printf("%s: %s (%s)\n", p.Topic, p.Payload, p.Properties.ContentType)
			out = (&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: p.PacketID}).Append(out, mqtt.V5)
		case *mqtt.Pingreq:
			out = (&mqtt.Pingresp{}).Append(out, mqtt.V5)
		}
	}
	fmt.Printf("% x\n", out)
	// Output:
	// home/kitchen: 21.5 (text/plain)
	// 40 02 00 07 d0 00
}

// An error carries the reason code that the peer is told.
func ExampleError() {
	frame := []byte{0x30, 0x05, 0x00, 0x03, 'a', '/', '#'}
	_, err := mqtt.Decode(mqtt.V311, frame)
	fmt.Println(err)
	fmt.Println(errors.Is(err, mqtt.MalformedPacket))
	// Output:
	// malformed packet (0x81): topic name with a wildcard
	// true
}
