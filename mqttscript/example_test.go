package mqttscript_test

import (
	"context"
	"fmt"

	"github.com/uniomq/unio/mqttscript"
)

func Example() {
	script, err := mqttscript.Parse("ping.mqtt", []byte(`
c > CONNECT id=c
c < CONNACK ...
c > PINGREQ
c < PINGRESP
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	broker := newPeer() // in your program, say: &mqttscript.TCP{Address: "localhost:1883"}
	go broker.serve()
	for _, version := range script.Versions {
		fmt.Println(mqttscript.Run(context.Background(), script, version, broker))
	}
	broker.listener.Close()
	// Output:
	// ok   ping.mqtt (MQTT 3.1)
	// ok   ping.mqtt (MQTT 3.1.1)
	// ok   ping.mqtt (MQTT 5)
}

func ExampleParse() {
	_, err := mqttscript.Parse("typo.mqtt", []byte("versions 3.1.1\n\nc > CONNECT id=c session-expiry=60\n"))
	fmt.Println(err)
	// Output:
	// typo.mqtt:3: session-expiry= does not exist in MQTT 3.1.1: add a versions line
}
