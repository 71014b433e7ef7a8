package heap

import (
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/internal/testenv"
)

// deadline bounds what a test waits for.
const deadline = 10 * time.Second

// TestTheProcessIsLeftToWhoOwnsIt changes nothing of the process that other tests run in, unless it fails.
func TestTheProcessIsLeftToWhoOwnsIt(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for _, c := range []struct {
		name  string
		owns  bool
		limit int64
		want  int64 // of Go's runtime
	}{
		{"a library", false, 1, before},
		{"the command", true, 1 << 40, growthLimit(1 << 40)},
	} {
		log := &testenv.Buffer{}
		m := New(slog.New(mosqlog.New(log, config.Log{Types: config.LogAll})), broker.Make())
		m.OwnsProcess = c.owns
		p, err := m.Prepare(&config.Config{MemoryLimit: c.limit})
		if err != nil {
			t.Fatal(err)
		}
		p.Use()
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		// The limit of the library is reached at once: then memory was looked at.
		seen := func() bool { return strings.Contains(log.String(), "is reached") }
		if c.owns {
			seen = func() bool { return debug.SetMemoryLimit(-1) != before }
		}
		for end := time.Now().Add(deadline); !seen(); runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%s: memory is not looked at", c.name)
			}
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("%s: Go's memory limit is %d, want %d", c.name, got, c.want)
		}
	}
}

func TestMemoryIsTidiedUpWhenNothingGoesOn(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	var y tidier
	now, allocated := time.Now(), uint64(100*mb)
	for _, step := range []struct {
		name                   string
		after                  time.Duration
		heap, live, free, more uint64 // more was allocated since the step before
		want                   bool
	}{
		{"at the start nothing is known yet", 0, 40 * mb, 20 * mb, 0, 0, false},
		{"busy", tidyInterval, 40 * mb, 20 * mb, 0, 10 * mb, false},
		{"quiet, too early", tidyInterval / 2, 40 * mb, 20 * mb, 0, 0, false},
		{"quiet", tidyInterval / 2, 40 * mb, 20 * mb, 0, tidyQuiet / 2, true},
		{"quiet, but there is little", tidyInterval, 21 * mb, 20 * mb, 0, 0, false},
		{"quiet, and there is much again", tidyInterval, 30 * mb, 20 * mb, 0, 0, true},
		{"quiet, and much is free", tidyInterval, 21 * mb, 20 * mb, 5 * mb, 0, true},
	} {
		now, allocated = now.Add(step.after), allocated+step.more
		if got := y.wants(now, step.heap, step.live, step.free, allocated); got != step.want {
			t.Errorf("%s: %v", step.name, got)
		}
	}
}

func TestRoomIsWhatQueuesMayTake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ limit, heap, want int64 }{
		{0, 1000, -1}, // no limit
		{1600, 400, 1000},
		{1600, 1390, 100}, // near: some of it may be garbage
		{1600, 1401, 0},   // the rest is for new clients
		{1600, 2000, 0},
	} {
		if got := room(c.limit, c.heap); got != c.want {
			t.Errorf("limit %d, heap %d: %d, want %d", c.limit, c.heap, got, c.want)
		}
	}
}
