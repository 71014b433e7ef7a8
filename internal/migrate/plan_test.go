package migrate_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/migrate"
	"github.com/uniomq/unio/internal/mosquittodb"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

var update = flag.Bool("update", false, "write the golden files")

// now is when the plans of the tests are made.
var now = time.Unix(1_800_000_000, 0)

const (
	past   = 1_799_999_000
	future = 1_800_001_000
)

func planned(t *testing.T, db *mosquittodb.DB, o migrate.Options) (*disk.Content, *migrate.Report) {
	t.Helper()
	o.Now = now
	c, r, err := migrate.Plan(db, o)
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

// queues describes the sessions' queues, one delivery a word.
func queues(c *disk.Content) []string {
	var out []string
	for _, s := range c.Sessions {
		line := s.ClientID + ":"
		for _, d := range s.Queue {
			line += fmt.Sprintf(" %s/q%d/%s", d.Message.Payload, d.QoS, [...]string{"queued", "sent", "released"}[d.State])
			if d.PacketID != 0 {
				line += fmt.Sprintf("/%d", d.PacketID)
			}
			if d.Retain {
				line += "/retain"
			}
			if d.SubscriptionID != 0 {
				line += fmt.Sprintf("/sub%d", d.SubscriptionID)
			}
		}
		for _, id := range s.Received {
			line += fmt.Sprintf(" received/%d", id)
		}
		out = append(out, line)
	}
	return out
}

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func message(id uint64, name, payload string, qos byte) mosquittodb.Message {
	return mosquittodb.Message{ID: id, Topic: name, Payload: []byte(payload), QoS: qos, ClientID: "pub"}
}

func client(id string) mosquittodb.Client {
	return mosquittodb.Client{ID: id, Expiry: mosquittodb.ExpiryNever, LastID: 20}
}

func TestQueueKeepsOrderStatesAndPacketIDs(t *testing.T) {
	t.Parallel()
	db := &mosquittodb.DB{Version: 6, Clients: []mosquittodb.Client{client("c")}}
	for i, d := range []mosquittodb.Delivery{
		{PacketID: 65534, QoS: 2, State: mosquittodb.ResendPubrel, Dup: true},
		{PacketID: 65535, QoS: 1, State: mosquittodb.PublishQoS1, Dup: true, Retain: true},
		{PacketID: 2, QoS: 2, State: mosquittodb.PublishQoS2}, // before one that was sent, so it was too
		{PacketID: 3, QoS: 2, State: mosquittodb.WaitForPubcomp},
		{PacketID: 4, QoS: 1, State: mosquittodb.PublishQoS1}, // not sent yet
		{PacketID: 5, QoS: 1, State: mosquittodb.Queued, SubscriptionID: 9},
		{PacketID: 0, QoS: 0, State: mosquittodb.Queued},
	} {
		db.Messages = append(db.Messages, message(uint64(i+1), "t", fmt.Sprintf("m%d", i), 2))
		d.ClientID, d.Message, d.Direction = "c", uint64(i+1), mosquittodb.Out
		db.Deliveries = append(db.Deliveries, d)
	}
	c, r := planned(t, db, migrate.Options{})
	equal(t, queues(c), "c: m0/q2/released/65534 m1/q1/sent/65535/retain m2/q2/sent/2 m3/q2/released/3 m4/q1/queued m5/q1/queued/sub9 m6/q0/queued")
	if r.InFlight != 4 || r.Queued != 3 || r.Left() != 0 {
		t.Errorf("%+v", r)
	}
	if c.Sessions[0].LastID != 20 {
		t.Errorf("last packet id %d, want 20", c.Sessions[0].LastID)
	}
}

// Nothing is in flight: the first message keeps the packet id that Mosquitto had meant for it.
func TestQueuedMessagesKeepTheirPacketIDs(t *testing.T) {
	t.Parallel()
	db := &mosquittodb.DB{Version: 6, Clients: []mosquittodb.Client{client("c")}, Messages: []mosquittodb.Message{message(1, "t", "m", 1)}}
	for _, id := range []uint16{19, 20} {
		db.Deliveries = append(db.Deliveries, mosquittodb.Delivery{
			ClientID: "c", Message: 1, PacketID: id, QoS: 1, Direction: mosquittodb.Out, State: mosquittodb.Queued,
		})
	}
	if c, _ := planned(t, db, migrate.Options{}); c.Sessions[0].LastID != 18 {
		t.Errorf("last packet id %d, want 18", c.Sessions[0].LastID)
	}
}

func TestPacketIDsInFlightGoUp(t *testing.T) {
	t.Parallel()
	db := &mosquittodb.DB{Version: 6, Clients: []mosquittodb.Client{client("c")}, Messages: []mosquittodb.Message{message(1, "t", "m", 1)}}
	for _, id := range []uint16{65000, 3, 1, 1, 0} { // as if Mosquitto had begun at 1 again meanwhile; 1 twice and 0 cannot be
		db.Deliveries = append(db.Deliveries, mosquittodb.Delivery{
			ClientID: "c", Message: 1, PacketID: id, QoS: 1, Direction: mosquittodb.Out, State: mosquittodb.WaitForPuback,
		})
	}
	c, r := planned(t, db, migrate.Options{})
	equal(t, queues(c), "c: m/q1/sent/65000 m/q1/sent/1 m/q1/sent/3 m/q1/queued m/q1/queued")
	var text bytes.Buffer
	if _, err := r.WriteTo(&text); err != nil || !strings.Contains(text.String(), `Messages in flight to "c" are sent again in another order`) {
		t.Errorf("%v, report:\n%s", err, &text)
	}
}

// A QoS 2 message that was received and not released reaches everybody whom it would have reached.
func TestUnreleasedMessageIsDelivered(t *testing.T) {
	t.Parallel()
	m := message(1, "a/b", "m", 2)
	m.Retain = true
	old := message(2, "a/b", "before", 1)
	done := message(3, "a/b", "done", 2)
	db := &mosquittodb.DB{
		Version: 6, Messages: []mosquittodb.Message{m, old, done},
		Clients: []mosquittodb.Client{client("pub"), client("v3"), client("v5"), client("other"), client("zero")},
		Deliveries: []mosquittodb.Delivery{
			{ClientID: "pub", Message: 1, PacketID: 8, QoS: 2, State: mosquittodb.WaitForPubrel},
			{ClientID: "pub", Message: 3, PacketID: 9, QoS: 2, State: mosquittodb.ResendPubcomp},
			{ClientID: "v3", Message: 2, QoS: 1, Direction: mosquittodb.Out, State: mosquittodb.Queued},
		},
		Subscriptions: []mosquittodb.Subscription{
			{ClientID: "pub", Filter: "#", Options: 2 | 1<<2}, // no local
			{ClientID: "v3", Filter: "a/#", Options: 1},
			{ClientID: "v3", Filter: "+/b", Options: 2},
			{ClientID: "v5", Filter: "a/#", Options: 1 | 1<<3, ID: 4}, // retain as published
			{ClientID: "v5", Filter: "$share/g/a/+", Options: 2},
			{ClientID: "other", Filter: "c", Options: 2},
			{ClientID: "zero", Filter: "a/b", Options: 0},
		},
		Retained: []mosquittodb.Retained{{Message: 2}},
	}
	c, r := planned(t, db, migrate.Options{})
	equal(t, queues(c), "pub: received/8 received/9", "v3: before/q1/queued m/q2/queued", "v5: m/q2/queued m/q1/queued/retain/sub4", "other:", "zero:")
	if len(c.Retained) != 1 || string(c.Retained[0].Payload) != "m" {
		t.Errorf("retained %+v", c.Retained)
	}
	if r.Received != 2 || r.Delivered != 1 {
		t.Errorf("%+v", r)
	}
}

func TestMessageKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	m := mosquittodb.Message{
		ID: 1, Topic: "$x/y", Payload: []byte("p"), QoS: 1, ClientID: "pub", Username: "anna", Port: 1884, Expires: future,
		Properties: []byte("\x26\x00\x01k\x00\x01v\x03\x00\x04text"),
	}
	db := &mosquittodb.DB{Version: 6, Messages: []mosquittodb.Message{m}, Retained: []mosquittodb.Retained{{Message: 1}}}
	c, _ := planned(t, db, migrate.Options{Listener: func(port uint16) string { return fmt.Sprintf("[::]:%d", port) }})
	want := &store.Message{
		Topic: "$x/y", Payload: []byte("p"), QoS: 1, Retain: true, ClientID: "pub", Username: "anna", Listener: "[::]:1884",
		Expires: time.Unix(future, 0), Properties: []byte("\x26\x00\x01k\x00\x01v\x03\x00\x04text"),
	}
	if len(c.Retained) != 1 || !reflect.DeepEqual(c.Retained[0], want) {
		t.Errorf("got  %+v\nwant %+v", c.Retained[0], want)
	}
	db.Messages[0].Properties = []byte("\x03\x00\x09text")
	_, _, err := migrate.Plan(db, migrate.Options{Now: now})
	if _, ok := errors.AsType[*mosquittodb.Error](err); !ok {
		t.Errorf("malformed properties: %v, want an *Error", err)
	}
}

func TestSessionsGoUnderTheirMountPoints(t *testing.T) {
	t.Parallel()
	db := &mosquittodb.DB{Version: 6, Clients: []mosquittodb.Client{
		{ID: "a", Port: 1884, Expiry: mosquittodb.ExpiryNever}, {ID: "b", Port: 1883, Expiry: mosquittodb.ExpiryNever}, {ID: "c", Expiry: mosquittodb.ExpiryNever},
	}}
	points := map[uint16]string{1884: "site/"}
	c, _ := planned(t, db, migrate.Options{MountPoint: func(port uint16) string { return points[port] }})
	for i, want := range []string{"site/", "", ""} {
		if s := c.Sessions[i]; s.MountPoint != want {
			t.Errorf("%s is under %q, want %q", s.ClientID, s.MountPoint, want)
		}
	}
}

func TestSessionsEndWhenMosquittoWouldEndThem(t *testing.T) {
	t.Parallel()
	never := uint32(mosquittodb.ExpiryNever)
	const hour = time.Hour
	for _, c := range []struct {
		name   string
		client mosquittodb.Client
		max    time.Duration
		want   time.Time // zero: never
		left   bool
	}{
		{"never", mosquittodb.Client{Expiry: never}, 0, time.Time{}, false},
		{"never, though a time is given", mosquittodb.Client{Expiry: never, Expires: past}, 0, time.Time{}, false},
		{"some time", mosquittodb.Client{Expiry: 60, Expires: future}, 0, time.Unix(future, 0), false},
		{"expired", mosquittodb.Client{Expiry: 60, Expires: past}, 0, time.Time{}, true},
		{"was connected", mosquittodb.Client{Expiry: 60}, 0, now.Add(time.Minute), false},
		{"ends with its connection", mosquittodb.Client{Expiry: 0}, 0, time.Time{}, true},
		{"never, limited, away", mosquittodb.Client{Expiry: never, Expires: future}, hour, time.Unix(future, 0), false},
		{"never, limited, was connected", mosquittodb.Client{Expiry: never}, hour, now.Add(hour), false},
		{"limited, was connected", mosquittodb.Client{Expiry: 7200}, hour, now.Add(hour), false},
		{"old format, limited", mosquittodb.Client{Expiry: never, Disconnect: past}, hour, time.Unix(past, 0).Add(hour), false},
		{"old format, limited, expired", mosquittodb.Client{Expiry: never, Disconnect: past}, time.Minute, time.Time{}, true},
	} {
		c.client.ID = "c"
		got, r := planned(t, &mosquittodb.DB{Version: 6, Clients: []mosquittodb.Client{c.client}}, migrate.Options{MaxExpiry: c.max})
		if c.left {
			if len(got.Sessions) != 0 || r.Left() != 1 {
				t.Errorf("%s: %+v", c.name, got.Sessions)
			}
			continue
		}
		if len(got.Sessions) != 1 || !got.Sessions[0].ExpiresAt.Equal(c.want) || got.Sessions[0].Expiry != c.client.Expiry {
			t.Errorf("%s: %+v, want %v", c.name, got.Sessions, c.want)
		}
	}
}

func TestReportCountsWhatIsTakenOverAndWhatIsNot(t *testing.T) {
	t.Parallel()
	expired := message(3, "t/old", "x", 1)
	expired.Expires = past
	db := &mosquittodb.DB{
		Version: 6, Size: 12345,
		Messages: []mosquittodb.Message{message(1, "t", "one", 2), message(2, "bad/#", "x", 1), expired},
		Clients: []mosquittodb.Client{
			client("here"), client(""), client("shared"),
			{ID: "gone", Expiry: 60, Expires: past},
			{ID: "clean"},
		},
		Deliveries: []mosquittodb.Delivery{
			{ClientID: "here", Message: 1, PacketID: 1, QoS: 2, Direction: mosquittodb.Out, State: mosquittodb.WaitForPubrec},
			{ClientID: "here", Message: 1, PacketID: 2, QoS: 1, Direction: mosquittodb.Out, State: mosquittodb.Queued},
			{ClientID: "here", Message: 3, PacketID: 3, QoS: 1, Direction: mosquittodb.Out, State: mosquittodb.Queued},
			{ClientID: "here", Message: 77, PacketID: 4, QoS: 1, Direction: mosquittodb.Out, State: mosquittodb.Queued},
			{ClientID: "here", Message: 1, PacketID: 5, QoS: 1, State: mosquittodb.WaitForPubrel},
			{ClientID: "here", Message: 1, PacketID: 6, QoS: 2, State: mosquittodb.WaitForPubrel},
			{ClientID: "here", Message: 3, PacketID: 7, QoS: 2, State: mosquittodb.WaitForPubrel},
			{ClientID: "gone", Message: 1, PacketID: 1, QoS: 1, Direction: mosquittodb.Out, State: mosquittodb.Queued},
			{ClientID: "nobody", Message: 1, PacketID: 1, QoS: 1, Direction: mosquittodb.Out, State: mosquittodb.Queued},
		},
		Subscriptions: []mosquittodb.Subscription{
			{ClientID: "here", Filter: "t/#", Options: 1},
			{ClientID: "here", Filter: "t/#/x", Options: 1},
			{ClientID: "gone", Filter: "t", Options: 1},
			{ClientID: "nobody", Filter: "t", Options: 1},
		},
		Retained: []mosquittodb.Retained{{Message: 1}, {Message: 3}, {Message: 99, Offset: 777}},
	}
	for i := range 7 {
		db.Subscriptions = append(db.Subscriptions, mosquittodb.Subscription{ClientID: fmt.Sprint("bridge", i), Filter: "t"})
	}
	_, r := planned(t, db, migrate.Options{})
	golden(t, "report", r)
	db.Shutdown, db.Clients, db.Deliveries, db.Subscriptions, db.Retained, db.Messages = true, nil, nil, nil, nil, nil
	_, r = planned(t, db, migrate.Options{})
	golden(t, "report-empty", r)
}

func golden(t *testing.T, name string, r *migrate.Report) {
	t.Helper()
	var got bytes.Buffer
	if _, err := r.WriteTo(&got); err != nil {
		t.Fatal(err)
	}
	file := "testdata/" + name + ".golden"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, &got, want)
	}
}

func TestClientTwiceIsRefused(t *testing.T) {
	t.Parallel()
	db := &mosquittodb.DB{Version: 6, Clients: []mosquittodb.Client{client("c"), client("c")}}
	db.Clients[1].Offset = 300
	if _, _, err := migrate.Plan(db, migrate.Options{Now: now}); err == nil || err.Error() != `offset 300: the client "c" is in the file twice` {
		t.Errorf("got %v", err)
	}
}
