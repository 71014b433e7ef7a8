//go:build unix

package cli_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// TestAnEmptyUserNameIsNone: Mosquitto takes a user name of no bytes for no user name, as
// scripts rely on that say -u "$MQTT_USER" without having one.
func TestAnEmptyUserNameIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	passwords, rules := filepath.Join(dir, "passwd"), filepath.Join(dir, "acl")
	rewrite(t, passwords, "joe:$6$WSak9/lS+xhakGBe$"+"GoZyUZkHQfg/YClch2JQZ1uT1fNoKIdbN5qIA2QQoLLiHr87h3nFLHx5goydkYt3lTWu2t2bAXrCzGUPFjQXAg==")
	rewrite(t, rules, "topic write a", "pattern write b", "topic deny b")
	for _, program := range []string{clitest.Binary, clitest.Mosquitto} {
		t.Run(filepath.Base(program), func(t *testing.T) {
			testenv.File(t, program, "mosquitto")
			port := testenv.FreePort(t)
			p := clitest.Launch(t, exec.Command(program, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "user root",
				"allow_anonymous true", "password_file "+passwords, "acl_file "+rules)))
			p.Await("running$")
			conn := clitest.Dial(t, port)
			send := func(m mqtt.Packet) mqtt.Packet {
				t.Helper()
				if _, err := conn.Write(m.Append(nil, mqtt.V5)); err != nil {
					t.Fatal(err)
				}
				got, err := readPacket(conn, mqtt.V5)
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			c := &mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: "x", HasUsername: true, HasPassword: true}
			if got := send(c).(*mqtt.Connack); got.Reason != mqtt.Success {
				t.Fatalf("refused with %v", got.Reason)
			}
			for topic, want := range map[string]bool{"a": true, "b": false} {
				got := send(&mqtt.Publish{Topic: []byte(topic), QoS: 1, PacketID: 1}).(*mqtt.Ack)
				if allowed := got.Reason < 0x80; allowed != want {
					t.Errorf("%s: %v", topic, got.Reason)
				}
			}
			p.Terminate()
		})
	}
}
