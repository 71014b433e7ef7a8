//go:build unix

package mosquittodb_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/mosquittodb"
	"github.com/uniomq/unio/internal/testenv"
)

// mosquittoBroker is Debian's, which writes format 6 and reads all of them.
const mosquittoBroker = "/usr/sbin/mosquitto"

// Files of the older formats are made by the tests, by their definition. That Mosquitto understands them as we do is the proof that they are what it
// once wrote: it reads one, and at its end writes what it understood in format 6.
func TestMosquittoReadsTheTestsFilesAsWeDo(t *testing.T) {
	t.Parallel()
	testenv.File(t, mosquittoBroker, "mosquitto")
	for version := 3; version <= 6; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			db := as(version, sample())
			db.Subscriptions = append(db.Subscriptions, mosquittodb.Subscription{ClientID: "sub", Filter: "c/+/d", Options: 1})
			file := newWriter(version).all(db)
			want, err := mosquittodb.Read(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			got := throughMosquitto(t, file)
			if got.Version != 6 || !got.Shutdown {
				t.Errorf("Mosquitto has written format %d, shutdown %t", got.Version, got.Shutdown)
			}
			if g, w := comparable(got, version), comparable(want, version); !reflect.DeepEqual(g, w) {
				t.Errorf("Mosquitto has\n%s\nwe have\n%s", strings.Join(g, "\n"), strings.Join(w, "\n"))
			}
		})
	}
}

// comparable has what both must agree on, in an order of its own: of old files Mosquitto knows no interval, it
// gives messages other identifiers, and forgets the port of a listener that it does not have.
func comparable(db *mosquittodb.DB, version int) []string {
	topics := make(map[uint64]string)
	var lines []string
	for i := range db.Messages {
		m := &db.Messages[i]
		topics[m.ID] = m.Topic
		lines = append(lines, fmt.Sprintf("message %s %q q%d %t expires %t by %q %q id %d properties %x",
			m.Topic, m.Payload, m.QoS, m.Retain, m.Expires != 0, m.ClientID, m.Username, m.SourceID, m.Properties))
	}
	for _, c := range db.Clients {
		line := fmt.Sprintf("client %s last id %d", c.ID, c.LastID)
		if version >= 5 {
			line += fmt.Sprintf(" %d %d", c.Expiry, c.Expires)
		}
		lines = append(lines, line)
	}
	for _, d := range db.Deliveries {
		lines = append(lines, fmt.Sprintf("delivery %s %s id %d q%d %t %t %d %d sub %d",
			d.ClientID, topics[d.Message], d.PacketID, d.QoS, d.Retain, d.Dup, d.Direction, d.State, d.SubscriptionID))
	}
	for _, s := range db.Subscriptions {
		lines = append(lines, fmt.Sprintf("subscription %s %s %d %d", s.ClientID, s.Filter, s.Options, s.ID))
	}
	for _, r := range db.Retained {
		lines = append(lines, "retained "+topics[r.Message])
	}
	slices.Sort(lines)
	return lines
}

// throughMosquitto starts Mosquitto on the file, ends it, and reads what it has written.
func throughMosquitto(t *testing.T, file []byte) *mosquittodb.DB {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "mosquitto.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	p := testenv.Mosquitto(t, mosquittoBroker, "listener 0 "+filepath.Join(dir, "socket"), "persistence true", "persistence_location "+dir+"/")
	endUntil(p.Ended(), p.Cmd.Process)
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	db, err := mosquittodb.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// endUntil asks the process to end until it has. Mosquitto forgets a signal that comes just before its main loop begins.
func endUntil(ended <-chan struct{}, p *os.Process) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	const patience = 200 // tries
	for n := 0; ; n++ {
		s := syscall.SIGTERM
		if n > patience {
			s = syscall.SIGKILL
		}
		_ = p.Signal(s) // it may be gone
		select {
		case <-ended:
			return
		case <-again.C:
		}
	}
}
