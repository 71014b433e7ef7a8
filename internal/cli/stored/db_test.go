package stored_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

var update = flag.Bool("update", false, "write the golden files")

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// told runs a command of unio in the test's process.
func told(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	got, stdout, stderr := clitest.Unio(args...)
	if got != want {
		t.Fatalf("unio %s: status %d, want %d\n%s%s", strings.Join(args, " "), got, want, stdout, stderr)
	}
	return stdout, stderr
}

// stored makes a store with one of everything.
func stored(t *testing.T) string {
	t.Helper()
	at := time.Unix(1893456000, 0)
	m := &store.Message{
		Topic: "a/b", Payload: []byte("shared \"text\"\n"), QoS: 2, Retain: true, Expires: at, ClientID: "pub", Username: "anna", Listener: "1883",
		Properties: []byte("\x01\x01\x03\x00\x04text\x08\x00\x03r/t\x09\x00\x02\x00\xff\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01w"),
	}
	c := &disk.Content{
		Sessions: []disk.Session{
			{
				Session: store.Session{
					ClientID: "one", Expiry: 3600, ExpiresAt: at,
					Subscriptions: []store.Subscription{{Filter: "a/#", Options: 2}, {Filter: "c", Options: 1 | 1<<2 | 1<<3 | 2<<4, ID: 7}},
					Will:          &store.Will{Message: &store.Message{Topic: "will", Payload: []byte("gone"), QoS: 1}, At: at.Add(-time.Hour)},
				},
				Received: []uint16{4},
				Queue: []store.Delivery{
					{Message: m, QoS: 2, PacketID: 8, State: store.Released},
					{Message: &store.Message{Topic: "c", Payload: bytes.Repeat([]byte("long "), 20)}, QoS: 1, PacketID: 9, State: store.Sent, SubscriptionID: 7},
					{Message: &store.Message{Topic: "c", Payload: []byte{0xFF, 0}}, QoS: 1, Retain: true},
					{Message: &store.Message{Topic: "c"}, QoS: 0},
				},
			},
			{Session: store.Session{ClientID: "one", MountPoint: "site/", Expiry: store.ExpiryNever, Subscriptions: []store.Subscription{{Filter: "site/a"}}}},
			{Session: store.Session{ClientID: "two\n", Expiry: store.ExpiryNever}, Queue: []store.Delivery{{Message: m, QoS: 1}}},
		},
		Retained: []*store.Message{m},
	}
	dir := filepath.Join(t.TempDir(), "store")
	if err := disk.Import(dir, c, disk.NewFolder{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatIsStoredIsShown(t *testing.T) {
	t.Parallel()
	dir := stored(t)
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"dump"}, {"dump", "--json"}} {
		out, _ := told(t, 0, append([]string{"db", "--store", dir}, args...)...)
		compareGolden(t, "db-"+strings.ReplaceAll(strings.Join(args, ""), "--", "-")+".golden", out)
		if args[len(args)-1] != "--json" {
			continue
		}
		for line := range strings.Lines(out) {
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil || v["type"] == "" {
				t.Errorf("%q is not an object with a type: %v", line, err)
			}
		}
	}
	some, _ := told(t, 0, "db", "dump", "--store", dir, "subscriptions", "retained")
	for line := range strings.Lines(some) {
		if !strings.HasPrefix(line, "subscription ") && !strings.HasPrefix(line, "retained ") {
			t.Errorf("not asked for: %q", line)
		}
	}
}

func TestBackupComesBack(t *testing.T) {
	t.Parallel()
	dir := stored(t)
	want, _ := told(t, 0, "db", "dump", "--json", "--store", dir)
	backup := filepath.Join(t.TempDir(), "backup.tar")
	told(t, 0, "db", "backup", "--store", dir, backup)
	toPipe, _ := told(t, 0, "db", "backup", "--store", dir, "-")
	whole, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	if len(toPipe) != len(whole) {
		t.Errorf("%d bytes to standard output, %d to a file", len(toPipe), len(whole))
	}
	to := filepath.Join(t.TempDir(), "restored")
	told(t, 0, "db", "restore", "--store", to, backup)
	if got, _ := told(t, 0, "db", "dump", "--json", "--store", to); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, got := told(t, 1, "db", "restore", "--store", to, backup); !strings.Contains(got, "it was not changed; --force replaces it") {
		t.Errorf("a second time: %s", got)
	}
	told(t, 0, "db", "restore", "--store", to, "--force", backup)
	if err := os.WriteFile(backup, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, got := told(t, 1, "db", "restore", "--store", to, "--force", backup); !strings.Contains(got, "the backup cannot be used: it ends too early") {
		t.Errorf("half a backup: %s", got)
	}
	if got, _ := told(t, 0, "db", "dump", "--json", "--store", to); got != want {
		t.Error("half a backup has changed the store")
	}
}

func TestFailedBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, got := told(t, 1, "db", "backup", "--store", filepath.Join(dir, "none"), filepath.Join(dir, "backup.tar"))
	if !strings.Contains(got, "there is no store") {
		t.Errorf("got %s", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%v is left behind, %v", entries, err)
	}
}

func TestWrongUseOfDB(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"db"},
		{"db", "list"},
		{"db", "unknown"},
		{"db", "list", "--store"},
		{"db", "dump", "--store", "x", "everything"},
		{"db", "backup", "--store", "x"},
		{"db", "restore", "--store", "x", "a", "b"},
		{"db", "list", "-c", "/none.conf"},
	} {
		told(t, 3, args...)
	}
	if _, got := told(t, 1, "db", "list", "--store", t.TempDir()); !strings.Contains(got, "there is no store") {
		t.Errorf("got %s", got)
	}
}
