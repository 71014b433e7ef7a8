package disk_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

var expires = time.Unix(1893456000, 0)

// sample is content with one of everything. One message is shared by two queues.
func sample() *disk.Content {
	shared := &store.Message{Topic: "a/b", Payload: []byte("shared"), Properties: []byte("\x01\x01"), ClientID: "pub", Username: "anna", Listener: "1883", QoS: 2, Expires: expires}
	own := func(text string) *store.Message { return &store.Message{Topic: "c", Payload: []byte(text), QoS: 1} }
	return &disk.Content{
		Sessions: []disk.Session{
			{
				Session: store.Session{
					ClientID: "one", Expiry: 3600, ExpiresAt: expires,
					Subscriptions: []store.Subscription{{Filter: "a/#", Options: 2}, {Filter: "c", Options: 1 | 1<<2, ID: 7}},
				},
				Received: []uint16{4, 65535},
				Queue: []store.Delivery{
					{Message: shared, QoS: 2, PacketID: 65530, State: store.Released},
					{Message: own("lost"), QoS: 1, PacketID: 65535, State: store.Sent, SubscriptionID: 7},
					{Message: own("next"), QoS: 1, Retain: true},
					{Message: own("none"), QoS: 0},
					{Message: own("last"), QoS: 2},
				},
			},
			{
				Session: store.Session{ClientID: "two", Expiry: store.ExpiryNever},
				Queue:   []store.Delivery{{Message: shared, QoS: 1}},
				LastID:  99,
			},
			{Session: store.Session{ClientID: "three", Expiry: store.ExpiryNever}, LastID: 5},
		},
		Retained: []*store.Message{{Topic: "r", Payload: []byte("kept"), Retain: true, QoS: 1}},
	}
}

func made(t *testing.T, c *disk.Content) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := disk.Import(dir, c, disk.NewFolder{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// contents describes all that a reader finds.
func contents(t *testing.T, dir string) []string {
	t.Helper()
	r, err := disk.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	err = r.Sessions(func(s *disk.Stored) error {
		add("session %s %d %d %v %v queued %d in flight %d", s.ClientID, s.Expiry, s.ExpiresAt.Unix(), s.Subscriptions, s.Received, s.Queued, s.InFlight)
		return r.Queue(s.Ref, func(d *store.Delivery) error {
			add("%s %d: id %d q%d %t %d sub %d %s", s.ClientID, d.Ordinal, d.PacketID, d.QoS, d.Retain, d.State, d.SubscriptionID, d.Message.Payload)
			return nil
		})
	})
	if err == nil {
		err = r.Retained(func(m *store.Message) error {
			add("retained %s %s", m.Topic, m.Payload)
			return nil
		})
	}
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestReaderFindsWhatWasImported(t *testing.T) {
	t.Parallel()
	got := contents(t, made(t, sample()))
	want := []string{ // in the order of the sessions' shards
		"session one 3600 1893456000 [{a/# 2 0} {c 5 7}] [4 65535] queued 3 in flight 2",
		"one 1: id 65530 q2 false 2 sub 0 shared",
		"one 2: id 65535 q1 false 1 sub 7 lost",
		"one 3: id 1 q1 true 0 sub 0 next",
		"one 4: id 0 q0 false 0 sub 0 none",
		"one 5: id 2 q2 false 0 sub 0 last",
		"session two 4294967295 -62135596800 [] [] queued 1 in flight 0",
		"two 1: id 100 q1 false 0 sub 0 shared",
		"session three 4294967295 -62135596800 [] [] queued 0 in flight 0",
		"retained r kept",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// opened is a store of the system's disk that is started.
func opened(t *testing.T, dir string, r store.Recovery) *disk.Store {
	t.Helper()
	s, err := disk.Open(dir, disk.Options{Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // again is no harm
	if err := s.Start(func([]any) {}, r); err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t *testing.T, s *disk.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func attached(t *testing.T, s *disk.Store, id string) store.Attached {
	t.Helper()
	type answer struct {
		at  store.Attached
		err error
	}
	done := make(chan answer, 1)
	s.Attach(t.Context(), store.Attach{ClientID: id, Keep: true, Expiry: store.ExpiryNever, Now: expires.Add(-time.Hour)}, func(at store.Attached, err error) { done <- answer{at, err} })
	a := <-done
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.at
}

func committed(t *testing.T, s *disk.Store, fill func(tx *store.Tx)) {
	t.Helper()
	done := make(chan error, 1)
	tx := &store.Tx{Wait: true, Done: func(err error) { done <- err }}
	fill(tx)
	s.Commit(tx)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// The store goes on where the import left it: packet ids follow, and what is settled is gone for good.
func TestStoreGoesOnWithWhatWasImported(t *testing.T) {
	t.Parallel()
	dir := made(t, sample())
	var retained []string
	s := opened(t, dir, store.Recovery{Now: time.Now(), Retained: func(m *store.Message) error {
		retained = append(retained, string(m.Payload))
		return nil
	}})
	if !reflect.DeepEqual(retained, []string{"kept"}) {
		t.Errorf("retained %q", retained)
	}
	one := attached(t, s, "one")
	if !one.Present || len(one.Received) != 2 {
		t.Fatalf("got %+v", one)
	}
	var ids []uint16
	for _, d := range s.Next(one.Ref, 0, make([]store.Delivery, 0, 10)) {
		ids = append(ids, d.PacketID)
	}
	if want := []uint16{65530, 65535, 1, 0, 2}; !reflect.DeepEqual(ids, want) {
		t.Fatalf("packet ids %v, want %v", ids, want)
	}
	three := attached(t, s, "three")
	more := &store.Message{Topic: "d", Payload: []byte("more"), QoS: 1}
	committed(t, s, func(tx *store.Tx) {
		for ordinal := uint64(1); ordinal <= 5; ordinal++ {
			tx.Settle(one.Ref, ordinal)
		}
		tx.Enqueue(one.Ref, store.Delivery{Message: more, QoS: 1}, store.Limit{})
		tx.Enqueue(three.Ref, store.Delivery{Message: more, QoS: 1}, store.Limit{})
	})
	if got := s.Next(one.Ref, 5, make([]store.Delivery, 0, 10)); len(got) != 1 || got[0].PacketID != 3 || got[0].Ordinal != 6 {
		t.Errorf("after it all: %+v, want one delivery, packet id 3, ordinal 6", got)
	}
	if got := s.Next(three.Ref, 0, make([]store.Delivery, 0, 10)); len(got) != 1 || got[0].PacketID != 6 {
		t.Errorf("a queue that was empty: %+v, want packet id 6", got)
	}
	closed(t, s)
	if got := strings.Join(contents(t, dir), "\n"); !strings.Contains(got, "two 1: id 100 q1 false 0 sub 0 shared") || !strings.Contains(got, "one 6: id 3") || strings.Contains(got, "one 5:") {
		t.Errorf("then the store has\n%s", got)
	}
}

// hashes has the files of a folder, and what is in them.
func hashes(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	out := make(map[string][32]byte)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = sha256.Sum256(text)
		}
	}
	return out
}

func TestReaderChangesNothing(t *testing.T) {
	t.Parallel()
	dir := made(t, sample())
	s := opened(t, dir, store.Recovery{}) // so that there is a log, too
	attached(t, s, "one")
	closed(t, s)
	before := hashes(t, dir)
	contents(t, dir)
	if after := hashes(t, dir); !reflect.DeepEqual(before, after) {
		t.Errorf("before %v\nafter  %v", before, after)
	}
}

func TestImportLeavesAFolderWithContentAlone(t *testing.T) {
	t.Parallel()
	dir := made(t, sample())
	before := hashes(t, dir)
	if err := disk.Import(dir, sample(), disk.NewFolder{}); !errors.Is(err, disk.ErrNotEmpty) {
		t.Fatalf("got %v, want ErrNotEmpty", err)
	}
	if after := hashes(t, dir); !reflect.DeepEqual(before, after) {
		t.Error("it was changed")
	}
	alone(t, dir)
	if err := disk.Import(dir, &disk.Content{}, disk.NewFolder{Replace: true}); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, dir); len(got) != 0 {
		t.Errorf("with Replace it still has %q", got)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := disk.Import(other, sample(), disk.NewFolder{Replace: true}); !errors.Is(err, disk.ErrNotEmpty) {
		t.Errorf("a folder that is no store: %v, want ErrNotEmpty", err)
	}
}

// alone checks that nothing lies beside the folder.
func alone(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(dir) {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

func TestImportTakesThePlaceOfAnEmptyStore(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s := opened(t, dir, store.Recovery{})
	if err := disk.Import(dir, sample(), disk.NewFolder{}); !errors.Is(err, disk.ErrInUse) {
		t.Fatalf("open: %v, want ErrInUse", err)
	}
	if err := disk.Import(dir, sample(), disk.NewFolder{Replace: true}); !errors.Is(err, disk.ErrInUse) {
		t.Fatalf("open, with Replace: %v, want ErrInUse", err)
	}
	if _, err := disk.OpenReader(dir); !errors.Is(err, disk.ErrInUse) {
		t.Fatalf("a reader: %v, want ErrInUse", err)
	}
	closed(t, s)
	if err := disk.Import(dir, sample(), disk.NewFolder{}); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, dir); len(got) != 10 {
		t.Errorf("got %q", got)
	}
	alone(t, dir)
}

func TestFailedImportLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	c := sample()
	c.Sessions[1].Queue = append(c.Sessions[1].Queue, store.Delivery{Message: c.Retained[0], QoS: 1, PacketID: 1, State: store.Sent})
	if err := disk.Import(dir, c, disk.NewFolder{}); err == nil || !strings.Contains(err.Error(), `session "two": what was sent must come first`) {
		t.Fatalf("got %v", err)
	}
	errOwner := errors.New("no such user")
	if err := disk.Import(dir, sample(), disk.NewFolder{Finish: func(string) error { return errOwner }}); !errors.Is(err, errOwner) {
		t.Fatalf("got %v", err)
	}
	if _, err := disk.OpenReader(dir); !errors.Is(err, disk.ErrNoStore) {
		t.Errorf("a reader: %v, want ErrNoStore", err)
	}
	alone(t, dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.OpenReader(dir); !errors.Is(err, disk.ErrNoStore) {
		t.Errorf("a reader of an empty folder: %v, want ErrNoStore", err)
	}
}

func backedUp(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := disk.BackupFolder(&b, dir); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRestoredFolderIsTheSame(t *testing.T) {
	t.Parallel()
	dir := made(t, sample())
	want := contents(t, dir)
	file := backedUp(t, dir)
	to := filepath.Join(t.TempDir(), "restored")
	if _, err := disk.Restore(to, bytes.NewReader(file), disk.NewFolder{}); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, to); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	alone(t, to)
	if _, err := disk.Restore(to, bytes.NewReader(file), disk.NewFolder{}); !errors.Is(err, disk.ErrNotEmpty) {
		t.Errorf("again: %v, want ErrNotEmpty", err)
	}
	if _, err := disk.Restore(to, bytes.NewReader(file), disk.NewFolder{Replace: true}); err != nil {
		t.Errorf("again, with Replace: %v", err)
	}
	closed(t, opened(t, to, store.Recovery{}))
}

// A backup that is cut off or has a flipped bit is refused, and what was there before stays.
func TestDamagedBackupIsRefused(t *testing.T) {
	t.Parallel()
	dir := made(t, sample())
	file := backedUp(t, dir)
	before := hashes(t, dir)
	to := filepath.Join(t.TempDir(), "restored")
	end := bytes.LastIndexByte(file, '\n') + 1 // of the sums; only padding comes behind
	step := max(len(file)/200, 1)
	for n := 0; n < end; n += step {
		if _, err := disk.CheckBackup(bytes.NewReader(file[:n])); !errors.Is(err, disk.ErrBackup) {
			t.Fatalf("cut off at %d: %v, want ErrBackup", n, err)
		}
	}
	harmless := 0
	for n := 0; n < end; n += step / 3 {
		bad := bytes.Clone(file)
		bad[n] ^= 1 << (n % 8)
		if _, err := disk.CheckBackup(bytes.NewReader(bad)); err == nil {
			harmless++ // padding between files
			if file[n] != 0 {
				t.Fatalf("bit %d of byte %d: no error", n%8, n)
			}
		}
	}
	if harmless > 150 {
		t.Errorf("%d flipped bits had no effect", harmless)
	}
	if _, err := disk.Restore(dir, bytes.NewReader(file[:end/2]), disk.NewFolder{Replace: true}); !errors.Is(err, disk.ErrBackup) {
		t.Errorf("restore: %v, want ErrBackup", err)
	}
	if !reflect.DeepEqual(before, hashes(t, dir)) {
		t.Error("the store that was to be replaced was changed")
	}
	if _, err := disk.Restore(to, bytes.NewReader(file[:end/2]), disk.NewFolder{}); !errors.Is(err, disk.ErrBackup) {
		t.Errorf("restore: %v, want ErrBackup", err)
	}
	if _, err := os.Stat(filepath.Dir(to)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(to))
	if err != nil || len(entries) > 0 {
		t.Errorf("%v is left behind, %v", entries, err)
	}
}
