package metrics

import (
	"math"
	"time"
)

// load is how fast a counter grows, per minute, averaged over each of the windows.
//
// The averages are exponentially weighted: between two refreshes dt apart the counter grew at the rate r per minute,
// and an average a over the window w becomes r + (a-r)*exp(-dt/w). So whatever happened t ago has the weight
// exp(-t/w), the same for any interval, and from rest an average reaches 63 % of a steady rate after w, 95 % after 3w.
type load struct {
	count    func(*sample) int64
	last     int64     // the counter's highest value so far
	at       time.Time // when that was read
	averages [len(windows)]average
}

type average struct {
	value
	rate float64 // per minute
}

var windows = [...]struct {
	name   string
	length time.Duration
}{{"1min", time.Minute}, {"5min", 5 * time.Minute}, {"15min", 15 * time.Minute}}

// newLoads returns all loads, at rest since start.
func newLoads(start time.Time) []load {
	loads := []load{}
	add := func(name string, count func(*sample) int64) {
		l := load{count: count, at: start}
		for i, w := range windows {
			l.averages[i].value = newValue("load/" + name + "/" + w.name)
		}
		loads = append(loads, l)
	}
	add("messages/received", func(s *sample) int64 { return s.PacketsReceived })
	add("messages/sent", func(s *sample) int64 { return s.PacketsSent })
	add("publish/dropped", (*sample).dropped)
	add("publish/received", func(s *sample) int64 { return s.Received })
	add("publish/sent", func(s *sample) int64 { return s.Sent })
	add("bytes/received", func(s *sample) int64 { return s.BytesReceived })
	add("bytes/sent", func(s *sample) int64 { return s.BytesSent })
	add("sockets", func(s *sample) int64 { return s.Accepted })
	add("connections", (*sample).connects)
	return loads
}

// step brings the averages to now.
func (l *load) step(s *sample, now time.Time) {
	dt := now.Sub(l.at)
	if dt <= 0 {
		return // what has come since counts at the next refresh
	}
	grown := max(l.count(s)-l.last, 0)
	rate := float64(grown) / dt.Minutes()
	for i := range l.averages {
		a := &l.averages[i]
		a.rate = rate + (a.rate-rate)*math.Exp(-dt.Seconds()/windows[i].length.Seconds())
	}
	l.last += grown
	l.at = now
}
