package broker_test

import (
	"testing"
	"testing/synctest"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/illegal"
	"github.com/uniomq/unio/mqtt"
)

// TestIllegalPackets plays the catalogue, with a bystander who must notice nothing.
func TestIllegalPackets(t *testing.T) {
	for name, v := range map[string]mqtt.Version{"3.1": mqtt.V31, "3.1.1": mqtt.V311, "5.0": mqtt.V5} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, l := serve(t, broker.Options{})
				good, _ := connect(t, l, clean("bystander"))
				good.subscribe("by/stander")
				cases := illegal.Cases(v)
				seen := map[string]bool{}
				for _, c := range cases {
					if seen[c.Name] {
						t.Errorf("%s: there are two", c.Name)
					}
					seen[c.Name] = true
					nc, err := l.Dial()
					if err != nil {
						t.Fatal(err)
					}
					if err := illegal.Run(nc, c); err != nil {
						t.Errorf("%s: % X: %v", c.Name, c.Send, err)
					}
				}
				if len(cases) < 400 {
					t.Errorf("only %d cases", len(cases))
				}
				synctest.Wait()
				good.send(&mqtt.Publish{Topic: []byte("by/stander"), Payload: []byte("alive")})
				if m := good.message(); string(m.Payload) != "alive" {
					t.Errorf("the bystander got %q", m.Payload)
				}
				if n := b.Stats(); n.Connections != 1 || n.Sessions != 1 || n.Unaccepted != 0 || n.Retained != 0 {
					t.Errorf("left over: %+v", n)
				}
			})
		})
	}
}
