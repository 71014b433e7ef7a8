//go:build unix

package stored_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// talker is a client that says what a test tells it and nothing else: it acknowledges nothing by itself.
type talker struct {
	t    *testing.T
	conn net.Conn
	v    mqtt.Version
	buf  []byte
}

// talk connects. What CONNACK says of the session must be as given.
func talk(t *testing.T, port int, c mqtt.Connect, present bool) *talker {
	t.Helper()
	k := &talker{t: t, conn: clitest.Dial(t, port), v: c.Version}
	k.say(&c)
	ack, ok := k.hear().(*mqtt.Connack)
	if !ok || ack.Reason != mqtt.Success || ack.SessionPresent != present {
		t.Fatalf("%s: %+v, want session present %t", c.ClientID, ack, present)
	}
	return k
}

func (k *talker) say(p mqtt.Packet) {
	k.t.Helper()
	if _, err := k.conn.Write(p.Append(nil, k.v)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *talker) hear() mqtt.Packet {
	k.t.Helper()
	for {
		frame, rest, err := mqtt.Split(k.buf, 0)
		if err != nil {
			k.t.Fatal(err)
		}
		if frame != nil {
			p, err := mqtt.Decode(k.v, bytes.Clone(frame))
			if err != nil {
				k.t.Fatal(err)
			}
			k.buf = append([]byte(nil), rest...)
			return p
		}
		more := make([]byte, 4096)
		n, err := k.conn.Read(more)
		if err != nil {
			k.t.Fatalf("expected a packet: %v", err)
		}
		k.buf = append(k.buf, more[:n]...)
	}
}

// expect compares what comes next, as said writes it.
func (k *talker) expect(want ...string) {
	k.t.Helper()
	for _, w := range want {
		if got := said(k.hear()); got != w {
			k.t.Fatalf("got  %s\nwant %s", got, w)
		}
	}
}

// nothing checks that the broker has nothing more to say: the answer to PINGREQ comes next.
func (k *talker) nothing() {
	k.t.Helper()
	k.say(&mqtt.Pingreq{})
	k.expect("PINGRESP")
}

// take expects messages in this order, and acknowledges all of them. PUBRELs come when they come.
func (k *talker) take(messages []string) {
	k.t.Helper()
	open := 0
	for len(messages) > 0 || open > 0 {
		switch p := k.hear().(type) {
		case *mqtt.Publish:
			if len(messages) == 0 || said(p) != messages[0] {
				k.t.Fatalf("got %s, want the first of %q", said(p), messages)
			}
			messages = messages[1:]
			if p.QoS == 1 {
				k.ack(mqtt.PUBACK, p.PacketID)
				continue
			}
			open++
			k.ack(mqtt.PUBREC, p.PacketID)
		case *mqtt.Ack:
			open--
			k.ack(mqtt.PUBCOMP, p.PacketID)
		default:
			k.t.Fatalf("got %s", said(p))
		}
	}
}

func (k *talker) ack(kind mqtt.Type, id uint16) { k.say(&mqtt.Ack{Kind: kind, PacketID: id}) }

// drop ends the connection without a DISCONNECT.
func (k *talker) drop() {
	k.t.Helper()
	if err := k.conn.Close(); err != nil {
		k.t.Fatal(err)
	}
}

// said has everything that counts of a packet.
func said(p mqtt.Packet) string {
	switch p := p.(type) {
	case *mqtt.Publish:
		s := fmt.Sprintf("PUBLISH %d q%d %s %q", p.PacketID, p.QoS, p.Topic, p.Payload)
		if p.Dup {
			s += " dup"
		}
		if p.Retain {
			s += " retain"
		}
		q := &p.Properties
		if q.Has(mqtt.PropMessageExpiry) {
			s += fmt.Sprintf(" expiry %d00", q.MessageExpiry/100)
		}
		if q.Has(mqtt.PropContentType) {
			s += fmt.Sprintf(" type %s", q.ContentType)
		}
		for _, u := range q.User {
			s += fmt.Sprintf(" %s=%s", u.Name, u.Value)
		}
		for _, id := range q.SubscriptionIDs {
			s += fmt.Sprintf(" sub %d", id)
		}
		return s
	case *mqtt.Ack:
		return fmt.Sprintf("%v %d %#x", p.Kind, p.PacketID, byte(p.Reason))
	case *mqtt.Suback:
		return fmt.Sprintf("SUBACK %x", p.Reasons)
	}
	return p.Type().String()
}

// subscribe subscribes and waits for the answer.
func (k *talker) subscribe(filter string, options mqtt.SubscribeOptions, id uint32) {
	k.t.Helper()
	s := &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: options}}}
	if id != 0 {
		s.Properties.AddSubscriptionID(id)
	}
	k.say(s)
	k.expect(fmt.Sprintf("SUBACK %02x", options.QoS()))
}

func connect3(id string, clean bool) mqtt.Connect {
	return mqtt.Connect{Version: mqtt.V311, ClientID: id, CleanStart: clean}
}

func connect5(id string, expiry uint32) mqtt.Connect {
	c := mqtt.Connect{Version: mqtt.V5, ClientID: id}
	c.Properties.SetSessionExpiry(expiry)
	return c
}

// fillMosquitto leaves sessions in every state behind.
func fillMosquitto(t *testing.T, mosquitto *clitest.Process, port int) {
	t.Helper()
	leave := func(k *talker, id string) { // what comes then is not for its connection
		k.drop()
		mosquitto.Await("Client " + id + " (closed its connection|disconnected)")
	}
	away := talk(t, port, connect3("away", false), false)
	away.subscribe("q/#", 2, 0)
	leave(away, "away")
	five := talk(t, port, connect5("five", 5000), false)
	five.subscribe("q/+", 1|1<<2|1<<3, 5)
	five.say(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("q/own"), Payload: []byte("not for me")}) // no local
	five.expect("PUBACK 1 0x0")
	leave(five, "five")

	pub := talk(t, port, connect5("publisher", 0), false)
	flight := talk(t, port, connect5("flight", 4294967295), false)
	flight.subscribe("f/#", 2, 0)
	for i, qos := range []byte{1, 2, 2, 1, 2} {
		id := uint16(i + 1)
		pub.publish(&mqtt.Publish{QoS: qos, PacketID: id, Topic: fmt.Appendf(nil, "f/%d", id), Payload: fmt.Append(nil, id)})
		flight.expect(fmt.Sprintf(`PUBLISH %d q%d f/%d "%d"`, id, qos, id, id))
	}
	flight.ack(mqtt.PUBACK, 1)
	flight.ack(mqtt.PUBREC, 2)
	flight.expect("PUBREL 2 0x0")
	flight.nothing() // 1 is done with, 2 waits for PUBCOMP, 3 and 5 for PUBREC, 4 for PUBACK
	leave(flight, "flight")
	pub.publish(&mqtt.Publish{QoS: 1, PacketID: 6, Topic: []byte("f/6"), Payload: []byte("6")})

	half := talk(t, port, connect3("half", false), false)
	half.say(&mqtt.Publish{QoS: 2, PacketID: 77, Topic: []byte("q/half"), Payload: []byte("not released")})
	half.expect("PUBREC 77 0x0")
	leave(half, "half")

	one := &mqtt.Publish{QoS: 1, PacketID: 10, Topic: []byte("q/1"), Payload: []byte("one"), Retain: true}
	one.Properties.SetMessageExpiry(5090)
	one.Properties.SetContentType("text")
	one.Properties.AddUser("k", "v")
	pub.publish(one)
	for i := range 40 {
		qos := byte(i%2 + 1)
		pub.publish(&mqtt.Publish{QoS: qos, PacketID: uint16(i + 11), Topic: []byte("q/2"), Payload: fmt.Append(nil, "m", i)})
	}
	pub.publish(&mqtt.Publish{QoS: 1, PacketID: 60, Topic: []byte("r/kept"), Payload: []byte("kept\x00\xff"), Retain: true})
	pub.publish(&mqtt.Publish{QoS: 1, PacketID: 61, Topic: []byte("r/gone"), Payload: []byte("x"), Retain: true})
	pub.publish(&mqtt.Publish{QoS: 1, PacketID: 62, Topic: []byte("r/gone"), Retain: true})
	leave(pub, "publisher")
}

// publish publishes at QoS 1 or 2 and waits until that is done.
func (k *talker) publish(p *mqtt.Publish) {
	k.t.Helper()
	k.say(p)
	ack := func(want mqtt.Type) {
		k.t.Helper()
		a, ok := k.hear().(*mqtt.Ack)
		if !ok || a.Kind != want || a.PacketID != p.PacketID || a.Reason >= 0x80 {
			k.t.Fatalf("got %+v, want %v", a, want)
		}
	}
	if p.QoS == 1 {
		ack(mqtt.PUBACK)
		return
	}
	ack(mqtt.PUBREC)
	k.ack(mqtt.PUBREL, p.PacketID)
	ack(mqtt.PUBCOMP)
}

// TestClientsGetFromUnioWhatMosquittoKeptForThem is the migration of what a real Mosquitto has stored: message for message.
func TestClientsGetFromUnioWhatMosquittoKeptForThem(t *testing.T) {
	t.Parallel()
	testenv.File(t, clitest.Mosquitto, "mosquitto")
	port, dir := testenv.FreePort(t), t.TempDir()
	conf := clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "user root", "log_type all",
		"persistence true", "persistence_location "+dir+"/")
	mosquitto := clitest.Launch(t, exec.Command(clitest.Mosquitto, "-c", conf))
	mosquitto.Await("running$")
	fillMosquitto(t, mosquitto, port)
	mosquitto.Terminate()
	source := filepath.Join(dir, "mosquitto.db")
	before := sum(t, source)

	dry, _ := told(t, 0, "migrate", "--from", conf, "--dry-run")
	if _, err := os.Stat(source + ".unio"); !os.IsNotExist(err) {
		t.Fatalf("the dry run has left something: %v", err)
	}
	report, _ := told(t, 0, "migrate", "--from", conf)
	if strings.TrimSuffix(dry, "Nothing was written.\n") != strings.TrimSuffix(report, "Everything is written.\n") {
		t.Errorf("the dry run says\n%s\nand the other\n%s", dry, report)
	}
	size := regexp.MustCompile(`and \d+ bytes`)
	compareGolden(t, "migrate.golden", size.ReplaceAllString(strings.ReplaceAll(report, dir, "DIR"), "and N bytes"))
	if sum(t, source) != before {
		t.Error("mosquitto.db was changed")
	}
	_, again := told(t, 1, "migrate", "--from", conf)
	if !strings.Contains(again, "the store has content already") {
		t.Errorf("again: %s", again)
	}

	unio := clitest.Run(t, "-c", conf)
	unio.Await("running$")
	_, inUse := told(t, 1, "migrate", "--from", conf)
	if !strings.Contains(inUse, "in use by another process") {
		t.Errorf("while the broker runs: %s", inUse)
	}
	hearMigrated(t, port)
	unio.Terminate()
}

// hearMigrated checks what the clients of fillMosquitto get.
func hearMigrated(t *testing.T, port int) {
	t.Helper()
	half := talk(t, port, connect3("half", false), true)
	half.say(&mqtt.Publish{QoS: 2, PacketID: 77, Topic: []byte("q/half"), Payload: []byte("not released"), Dup: true})
	half.expect("PUBREC 77 0x0")
	half.ack(mqtt.PUBREL, 77)
	half.expect("PUBCOMP 77 0x0")

	away := talk(t, port, connect3("away", false), true)
	var queue []string
	next := func(qos byte, rest string) {
		queue = append(queue, fmt.Sprintf("PUBLISH %d q%d %s", len(queue)+1, qos, rest))
	}
	next(1, `q/own "not for me"`)
	next(1, `q/1 "one"`)
	for i := range 40 {
		next(byte(i%2+1), fmt.Sprintf(`q/2 "m%d"`, i))
	}
	next(2, `q/half "not released"`)
	away.take(queue)
	away.nothing() // the PUBLISH that was sent again has brought no second copy

	five := talk(t, port, connect5("five", 5000), true)
	five.expect(`PUBLISH 1 q1 q/1 "one" retain expiry 5000 type text k=v sub 5`)
	five.ack(mqtt.PUBACK, 1)
	for i := range 40 {
		five.expect(fmt.Sprintf(`PUBLISH %d q1 q/2 "m%d" sub 5`, i+2, i))
		five.ack(mqtt.PUBACK, uint16(i+2))
	}
	five.expect(`PUBLISH 42 q1 q/half "not released" sub 5`)

	flight := talk(t, port, connect5("flight", 4294967295), true)
	flight.expect("PUBREL 2 0x0", `PUBLISH 3 q2 f/3 "3" dup`, `PUBLISH 4 q1 f/4 "4" dup`, `PUBLISH 5 q2 f/5 "5" dup`, `PUBLISH 6 q1 f/6 "6"`)
	flight.ack(mqtt.PUBCOMP, 2)
	flight.ack(mqtt.PUBREC, 3)
	flight.expect("PUBREL 3 0x0")
	flight.nothing()

	fresh := talk(t, port, connect5("fresh", 0), false)
	fresh.subscribe("r/#", 1, 0)
	fresh.expect(`PUBLISH 1 q1 r/kept "kept\x00\xff" retain`)
	fresh.subscribe("q/1", 0, 0)
	fresh.expect(`PUBLISH 0 q0 q/1 "one" retain expiry 5000 type text k=v`)
	fresh.nothing()

	// The subscriptions are in force.
	fresh.publish(&mqtt.Publish{QoS: 2, PacketID: 9, Topic: []byte("q/new"), Payload: []byte("new")})
	away.expect(fmt.Sprintf(`PUBLISH %d q2 q/new "new"`, len(queue)+1))
	five.expect(`PUBLISH 43 q1 q/new "new" sub 5`)
}

func sum(t *testing.T, path string) [32]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func TestDamagedMosquittoDBLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, to := filepath.Join(dir, "mosquitto.db"), filepath.Join(dir, "store")
	header := "\x00\xb5\x00mosquitto db\x00\x00\x00\x00\x00\x00\x00\x06" +
		"\x00\x00\x00\x01\x00\x00\x00\x10\x01\x00\x00\x00\x00\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct{ file, want string }{
		{header + "\x00\x00\x00\x06\x00\x00\x00\x19\x01\x02", source + ": offset 57: the file ends within the chunk (client) at 47, 23 bytes too early"},
		{"listener 1883\n", source + ": offset 0: this is not a mosquitto.db"},
	} {
		if err := os.WriteFile(source, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, got := told(t, 1, "migrate", "--db", source, "--store", to); !strings.Contains(got, c.want) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if err := os.Remove(source); err != nil {
		t.Fatal(err)
	}
	if _, got := told(t, 1, "migrate", "--db", source, "--store", to); !strings.Contains(got, "there is no such file; Mosquitto writes it at its end") {
		t.Errorf("got %s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%v is left behind, %v", entries, err)
	}
	told(t, 3, "migrate")
	told(t, 3, "migrate", "--db", source)
	told(t, 3, "migrate", "--from", filepath.Join(dir, "none.conf"))
}

func TestMigrateTakesAnEmptyFileForOneThatHoldsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "mosquitto.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := clitest.Unio("migrate", "--db", empty, "--store", filepath.Join(dir, "store"))
	if status != exit.OK || errs != "" || !strings.Contains(out, "The file is empty.") || !strings.Contains(out, "Everything is written.") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}
