//go:build unix

package stored_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// While a broker runs its store is not read, but backed up: all that it has acknowledged before is in the copy.
func TestRunningBrokerIsBackedUp(t *testing.T) {
	t.Parallel()
	port, dir := testenv.FreePort(t), t.TempDir()
	conf := clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "user root", "persistence true",
		"persistence_location "+dir, "max_queued_messages 0", "log_type all")
	broker := clitest.Run(t, "-c", conf)
	broker.Await("running$")
	away := talk(t, port, connect3("away", false), false)
	away.subscribe("q", 1, 0)
	away.drop()
	pub := talk(t, port, connect3("pub", true), false)
	const before = 100
	for i := range before {
		pub.publish(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("q"), Payload: fmt.Append(nil, i)})
	}
	for _, command := range []string{"list", "dump"} {
		if _, got := told(t, 1, "db", command, "-c", conf); !strings.Contains(got, "in use by another process") {
			t.Errorf("%s: %s", command, got)
		}
	}
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for i := before; ; i++ {
			select {
			case <-stop:
				return
			default:
				pub.publish(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("q"), Payload: fmt.Append(nil, i)})
			}
		}
	})
	backup := filepath.Join(t.TempDir(), "backup.tar")
	told(t, 0, "db", "backup", "-c", conf, backup)
	broker.Await("a backup was made$")
	if _, got := told(t, 1, "db", "restore", "-c", conf, "--force", backup); !strings.Contains(got, "in use by another process") {
		t.Errorf("restore: %s", got)
	}
	close(stop)
	busy.Wait()
	broker.Terminate()

	told(t, 0, "db", "restore", "-c", conf, "--force", backup)
	out, _ := told(t, 0, "db", "dump", "-c", conf, "queued")
	n := strings.Count(out, "\n")
	if n < before {
		t.Errorf("%d messages are in the backup, want at least %d", n, before)
	}
	broker = clitest.Run(t, "-c", conf)
	broker.Await("running$")
	away = talk(t, port, connect3("away", false), true)
	for i := range n {
		away.expect(fmt.Sprintf(`PUBLISH %d q1 q "%d"`, i+1, i))
		away.ack(mqtt.PUBACK, uint16(i+1))
	}
	away.nothing()
	broker.Terminate()
}

// The broker that root starts becomes another user, whose the store must be.
func TestRestoredStoreIsTheBrokers(t *testing.T) {
	t.Parallel()
	port, dir := testenv.FreePort(t), t.TempDir()
	conf := clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "user nobody", "persistence true", "persistence_location "+dir)
	backup := filepath.Join(t.TempDir(), "backup.tar")
	told(t, 0, "db", "backup", "--store", stored(t), backup)
	for d := dir; d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil { // nobody must get there
			t.Fatal(err)
		}
	}
	told(t, 0, "db", "restore", "-c", conf, backup)
	broker := clitest.Run(t, "-c", conf)
	broker.Await("running$")
	talk(t, port, connect5("one", 10), true).expect("PUBREL 8 0x0")
	process := clitest.Owner(t, fmt.Sprintf("/proc/%d", broker.Cmd.Process.Pid))
	if os.Geteuid() == 0 && process == 0 {
		t.Error("the broker is root")
	}
	if got := clitest.Owner(t, filepath.Join(dir, "mosquitto.db.unio", "LOCK")); got != process {
		t.Errorf("the store is user %d's, the process user %d's", got, process)
	}
	told(t, 0, "db", "backup", "-c", conf, backup) // root asks nobody's broker
	broker.Terminate()
}
