package bench

import (
	"fmt"
	"time"
)

// dueAtOnce bounds how many messages are put together before they are written, when the pacer is late.
const dueAtOnce = 1000

// sleepAtMost is how long the pacer sleeps before it looks whether the run has ended.
const sleepAtMost = 100 * time.Millisecond

// pace sends total messages at the rate, the publishers in turn. It looks at the clock, sends all that is due, and sleeps. What it
// could not send because the run ended is taken off what the phase waits for, with each's units.
func (r *runner) pace(total, units int) {
	sent := 0
	touched := make([]*publisher, 0, dueAtOnce)
	defer func() { r.complete((total-sent)*units + 1) }()
	for sent < total {
		select {
		case <-r.failed:
			return
		case <-r.ctx.Done():
			return
		default:
		}
		now := r.now()
		due := min(int(float64(now-r.start)*r.o.Rate/float64(time.Second))+1, total)
		if now < r.start || due <= sent {
			next := r.start + int64(float64(sent)*float64(time.Second)/r.o.Rate)
			sleep(min(time.Duration(next-now), sleepAtMost))
			continue
		}
		touched = touched[:0]
		for ; sent < due && len(touched) < dueAtOnce; sent++ {
			p := r.publishers[sent%len(r.publishers)]
			r.lateness.add(time.Duration(now-r.start-int64(float64(sent)*float64(time.Second)/r.o.Rate)), 1)
			p.due()
			touched = append(touched, p)
		}
		for _, p := range touched {
			if err := p.flushDue(); err != nil {
				r.lost(fmt.Errorf("publisher %d: %w", p.number, err))
				return
			}
		}
	}
}
