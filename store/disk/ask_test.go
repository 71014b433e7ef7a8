//go:build unix

package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

// serving is a started store that can be asked for backups.
func serving(t *testing.T, dir string) *disk.Store {
	t.Helper()
	s := opened(t, dir, store.Recovery{})
	if err := s.ListenForBackups(); err != nil {
		t.Fatal(err)
	}
	return s
}

func asked(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := disk.AskBackup(&b, dir); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func restored(t *testing.T, file []byte) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "restored")
	if _, err := disk.Restore(to, bytes.NewReader(file), disk.NewFolder{}); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestRunningStoreGivesABackup(t *testing.T) {
	t.Parallel()
	dir := made(t, sample())
	want := contents(t, dir)
	s := serving(t, dir)
	to := restored(t, asked(t, dir))
	if got := contents(t, to); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	closed(t, s)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			t.Errorf("%s is left behind", e.Name())
		}
	}
	if _, err := disk.AskBackup(&bytes.Buffer{}, dir); !errors.Is(err, disk.ErrNoBackups) {
		t.Errorf("after Close: %v, want ErrNoBackups", err)
	}
}

// What was acknowledged before a backup was asked for is in it, and of what comes meanwhile a beginning: of a transaction all or nothing.
func TestBackupWhileWritingIsOfOneMoment(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s := serving(t, dir)
	one, two := attached(t, s, "one"), attached(t, s, "two")
	write := func(n int) {
		m := &store.Message{Topic: "t", Payload: fmt.Append(nil, n), QoS: 1}
		committed(t, s, func(tx *store.Tx) {
			tx.Enqueue(one.Ref, store.Delivery{Message: m, QoS: 1}, store.Limit{})
			tx.Enqueue(two.Ref, store.Delivery{Message: m, QoS: 1}, store.Limit{})
			tx.Retain(&store.Message{Topic: "n", Payload: m.Payload, Retain: true})
		})
	}
	const before = 50
	for n := range before {
		write(n)
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := before; ; n++ {
			select {
			case <-stop:
				return
			default:
				write(n)
			}
		}
	})
	for range 3 {
		got := contents(t, restored(t, asked(t, dir)))
		count := map[string]int{}
		for _, line := range got {
			word, rest, _ := strings.Cut(line, " ")
			if word == "one" || word == "two" {
				if want := fmt.Sprintf("%d: id %d q1 false 0 sub 0 %d", count[word]+1, count[word]+1, count[word]); rest != want {
					t.Fatalf("session %s has %q, want %q", word, rest, want)
				}
			}
			count[word]++
		}
		if count["one"] < before || count["one"] != count["two"] {
			t.Errorf("%d and %d messages, want the same number, at least %d", count["one"], count["two"], before)
		}
		if want := fmt.Sprintf("retained n %d", count["one"]-1); got[len(got)-1] != want {
			t.Errorf("%q, want %q", got[len(got)-1], want)
		}
	}
	close(stop)
	writer.Wait()
	closed(t, s)
}

// Sockets have short paths, on every system.
func TestFolderWithALongNameCanBeAsked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30), "store")
	s := serving(t, dir)
	attached(t, s, "one")
	if got := contents(t, restored(t, asked(t, dir))); len(got) != 1 {
		t.Errorf("got %q", got)
	}
	closed(t, s)
}

// An asker that stays silent, or goes away, keeps neither the next one nor Close waiting.
func TestStoreDoesNotWaitForAskers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "s")
	s := serving(t, dir)
	attached(t, s, "one")
	silent, err := net.Dial("unix", filepath.Join(dir, "backup.sock"))
	if err != nil {
		t.Fatal(err)
	}
	gone, err := net.Dial("unix", filepath.Join(dir, "backup.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	restored(t, asked(t, dir))
	closed(t, s)
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open after Close")
	}
}

// What a process left behind that was killed within a backup does not disturb the next one.
func TestRestsOfAKilledProcessDoNotDisturb(t *testing.T) {
	t.Parallel()
	dir := made(t, sample())
	if err := os.MkdirAll(filepath.Join(dir, "checkpoint", "rest"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "backup.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serving(t, dir)
	if got := contents(t, restored(t, asked(t, dir))); len(got) != 10 {
		t.Errorf("got %q", got)
	}
	closed(t, s)
}
