package mosquittodb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/mosquittodb"
)

// sample has one of everything.
func sample() *mosquittodb.DB {
	return &mosquittodb.DB{
		Shutdown: true,
		Messages: []mosquittodb.Message{
			{
				ID: 1, ClientID: "pub", Username: "anna", Port: 1883, SourceID: 7, QoS: 2, Retain: true, Topic: "a/b", Payload: []byte("one"),
				Expires: 1893456000, Properties: []byte("\x03\x00\x04text"),
			},
			{ID: 2, ClientID: "pub", SourceID: 8, QoS: 1, Topic: "c"},
		},
		Clients: []mosquittodb.Client{{ID: "sub", Username: "bob", Port: 1884, LastID: 12, Expiry: 3600, Expires: 1893456000, Disconnect: 1700000000}},
		Deliveries: []mosquittodb.Delivery{
			{
				ClientID: "sub", Message: 1, PacketID: 11, QoS: 2, Retain: true, Dup: true, Direction: mosquittodb.Out,
				State: mosquittodb.WaitForPubcomp, SubscriptionID: 300,
			},
			{ClientID: "sub", Message: 2, PacketID: 4, QoS: 2, Direction: mosquittodb.In, State: mosquittodb.WaitForPubrel},
		},
		Subscriptions: []mosquittodb.Subscription{{ClientID: "sub", Filter: "a/#", Options: 2 | 1<<2 | 1<<3, ID: 300}},
		Retained:      []mosquittodb.Retained{{Message: 1}},
	}
}

// as is what a file in a format can hold of db.
func as(version int, db *mosquittodb.DB) *mosquittodb.DB {
	for i := range db.Clients {
		c := &db.Clients[i]
		switch {
		case version < 5:
			c.Username, c.Port, c.Expires, c.Expiry = "", 0, 0, mosquittodb.ExpiryNever
		default:
			c.Disconnect = 0
			if version == 5 {
				c.Username, c.Port = "", 0
			}
		}
	}
	if version >= 5 {
		return db
	}
	for i := range db.Messages {
		m := &db.Messages[i]
		m.Expires, m.Properties = 0, nil
		if version == 3 {
			m.Username, m.Port = "", 0
		}
	}
	for i := range db.Deliveries {
		db.Deliveries[i].SubscriptionID = 0
	}
	for i := range db.Subscriptions {
		db.Subscriptions[i].Options, db.Subscriptions[i].ID = db.Subscriptions[i].Options&3, 0
	}
	return db
}

// forget removes what the file's layout alone decides.
func forget(db *mosquittodb.DB) *mosquittodb.DB {
	db.Version, db.Size = 0, 0
	for i := range db.Messages {
		db.Messages[i].Offset = 0
		if len(db.Messages[i].Payload) == 0 {
			db.Messages[i].Payload = nil
		}
	}
	for i := range db.Clients {
		db.Clients[i].Offset = 0
	}
	for i := range db.Deliveries {
		db.Deliveries[i].Offset = 0
	}
	for i := range db.Subscriptions {
		db.Subscriptions[i].Offset = 0
	}
	for i := range db.Retained {
		db.Retained[i].Offset = 0
	}
	return db
}

func TestEveryFormatIsRead(t *testing.T) {
	t.Parallel()
	for version := 3; version <= 6; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			want := as(version, sample())
			file := newWriter(version).all(want)
			got, err := mosquittodb.Read(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			if got.Version != version || got.Size != int64(len(file)) {
				t.Errorf("version %d, size %d; want %d, %d", got.Version, got.Size, version, len(file))
			}
			if got = forget(got); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// A machine's byte order is seen in times and nowhere else: an identifier is only compared with others.
func TestFilesOfOtherMachinesAreRead(t *testing.T) {
	t.Parallel()
	for _, w := range []*writer{
		{version: 6, order: binary.BigEndian},
		{version: 6, order: binary.LittleEndian, unpadded: true},
		{version: 5, order: binary.BigEndian},
	} {
		got, err := mosquittodb.Read(bytes.NewReader(w.all(sample())))
		if err != nil {
			t.Fatal(err)
		}
		if got.Clients[0].Expires != 1893456000 || got.Messages[0].Expires != 1893456000 || got.Clients[0].ID != "sub" {
			t.Errorf("%v: client %+v, message %+v", w.order, got.Clients[0], got.Messages[0])
		}
		if got.Deliveries[0].Message != got.Messages[0].ID || got.Retained[0].Message != got.Messages[0].ID || got.Messages[0].ID == got.Messages[1].ID {
			t.Errorf("%v: what belongs together is not found", w.order)
		}
	}
}

// A file that ends early is an error that says where, unless it ends between two chunks or before it begins.
func TestTruncatedFileIsRefusedWithItsOffset(t *testing.T) {
	t.Parallel()
	for version := 3; version <= 6; version++ {
		file := newWriter(version).all(as(version, sample()))
		whole := 0
		for n := range file {
			_, err := mosquittodb.Read(bytes.NewReader(file[:n]))
			var at *mosquittodb.Error
			switch {
			case err == nil:
				whole++
			case !errors.As(err, &at):
				t.Fatalf("format %d, %d bytes: %v is not an *Error", version, n, err)
			case at.Offset > int64(n) || n > 15 && at.Offset != int64(n):
				t.Errorf("format %d, %d bytes: offset %d (%v)", version, n, at.Offset, err)
			}
		}
		if want := 9; whole != want { // the empty one, and one for each place between chunks
			t.Errorf("format %d: %d shorter files are whole, want %d", version, whole, want)
		}
	}
}

func TestDamageIsRefused(t *testing.T) {
	t.Parallel()
	header := "\x00\xb5\x00mosquitto db\x00\x00\x00\x00\x00\x00\x00\x06"
	settings := "\x00\x00\x00\x01\x00\x00\x00\x10\x01\x00\x00\x00\x00\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x00"
	delivery := header + settings + "\x00\x00\x00\x03\x00\x00\x00\x11\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01" // but for the last 5 bytes
	retained := "\x00\x00\x00\x04\x00\x00\x00\x08\x01\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct{ name, file, want string }{
		{"one byte", "\x00", "offset 0: this is not a mosquitto.db"},
		{"another file", strings.Repeat("listener 1883\n", 3), "offset 0: this is not a mosquitto.db"},
		{"a newer format", header[:22] + "\x07", "offset 19: expected format 3 to 6, not 7"},
		{"an older format", header[:22] + "\x02", "offset 19: expected format 3 to 6, not 2"},
		{"no settings", header + retained, "offset 23: chunk (retained message): expected the chunk of settings first"},
		{"settings twice", header + settings + settings, "offset 47: chunk (settings): expected the chunk of settings first, and once"},
		{"other identifiers", header + strings.Replace(settings, "\x01\x08", "\x01\x04", 1), "offset 23: chunk (settings): expected identifiers of 8 bytes, not 4"},
		{"an unknown chunk", header + settings + "\x00\x00\x00\x07\x00\x00\x00\x00", "offset 47: expected a chunk of type 1 to 6, not 7"},
		{"a huge chunk", header + settings + "\x00\x00\x00\x02\xff\xff\xff\xff", "offset 47: a chunk (message) of 4294967295 bytes: more than can be"},
		{"a chunk that is too short", header + settings + "\x00\x00\x00\x04\x00\x00\x00\x04\x01\x00\x00\x00", "its 4 bytes are too few"},
		{"a chunk that is too long", header + settings + strings.Replace(retained, "\x08", "\x09", 1) + "\x00", "1 bytes more than it should hold"},
		{"an unknown state", delivery + "\x01\x0c\x00\x01x", "expected a state of 0 to 11, not 12"},
		{"QoS 3", delivery + "\x03\x0b\x00\x01x", "expected QoS 0, 1 or 2, not 3"},
		{"another property", strings.Replace(delivery, "\x11", "\x14", 1) + "\x01\x0b\x00\x01x\x02\x0c\x01", "expected no property but a subscription identifier"},
	} {
		_, err := mosquittodb.Read(strings.NewReader(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestAnEmptyFileHoldsNothing(t *testing.T) {
	t.Parallel()
	db, err := mosquittodb.Read(strings.NewReader(""))
	if err != nil || !reflect.DeepEqual(db, &mosquittodb.DB{}) {
		t.Errorf("got %+v, %v", db, err)
	}
}

// What a length announces takes no memory.
func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	file := newWriter(6).begin().b
	file = append(file, "\x00\x00\x00\x02\x0f\xff\xff\xff"...) // a message of 268 MB, of which nothing comes
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := mosquittodb.Read(bytes.NewReader(file)); err == nil {
		t.Fatal("no error")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
}

type broken struct{ io.Reader }

var errBroken = errors.New("the disk is broken")

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}

func TestReadErrorIsPassedOn(t *testing.T) {
	t.Parallel()
	file := newWriter(6).all(sample())
	if _, err := mosquittodb.Read(broken{bytes.NewReader(file[:60])}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for version := 3; version <= 6; version++ {
		f.Add(newWriter(version).all(as(version, sample())))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		db, err := mosquittodb.Read(bytes.NewReader(file))
		if err != nil {
			var at *mosquittodb.Error
			if !errors.As(err, &at) || at.Offset < 0 || at.Offset > int64(len(file)) {
				t.Fatalf("%v: not an offset of the file", err)
			}
			return
		}
		if db.Size != int64(len(file)) {
			t.Fatalf("read %d of %d bytes without an error", db.Size, len(file))
		}
		if len(file) == 0 {
			if !reflect.DeepEqual(db, &mosquittodb.DB{}) {
				t.Fatalf("an empty file holds %+v", db)
			}
			return
		}
		// What was read can be written and read again.
		again, err := mosquittodb.Read(bytes.NewReader(newWriter(db.Version).all(db)))
		if err != nil {
			t.Fatal(err)
		}
		if want, got := forget(db), forget(again); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}
