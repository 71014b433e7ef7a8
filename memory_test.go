package unio

import (
	"testing"
	"time"
)

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
