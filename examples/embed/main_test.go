package main

import (
	"context"
	"net"
	"testing"

	"github.com/uniomq/unio/mqtt"
)

// exchange sends packets and returns what the broker answers, up to the packet that contains want.
func exchange(t *testing.T, nc net.Conn, want mqtt.Type, send ...mqtt.Packet) mqtt.Packet {
	t.Helper()
	var out []byte
	for _, p := range send {
		out = p.Append(out, mqtt.V311)
	}
	if _, err := nc.Write(out); err != nil {
		t.Fatal(err)
	}
	var in []byte
	chunk := make([]byte, 512)
	for {
		frame, rest, err := mqtt.Split(in, 0)
		if err != nil {
			t.Fatal(err)
		}
		if frame == nil {
			n, err := nc.Read(chunk)
			if err != nil {
				t.Fatalf("wait for packet %d: %v", want, err)
			}
			in = append(in, chunk[:n]...)
			continue
		}
		in = rest
		if p, err := mqtt.Decode(mqtt.V311, frame); err != nil {
			t.Fatal(err)
		} else if p.Type() == want {
			return p
		}
	}
}

func TestEmbeddedBrokerGreetsAndStops(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, l) }()

	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	exchange(t, nc, mqtt.CONNACK, &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "reader"})
	greeting := exchange(t, nc, mqtt.PUBLISH,
		&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "room/#"}}}).(*mqtt.Publish)
	if string(greeting.Topic) != "room/hello" || string(greeting.Payload) != "hello" {
		t.Errorf("greeting %s: %s, want room/hello: hello", greeting.Topic, greeting.Payload)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}
