package bench

import (
	"fmt"
	"sync"
	"time"
)

// measured is what a phase counted.
type measured struct {
	published, delivered int
	count                int // what rates and costs are about
	cost                 costOf
}

// costOf is the unit of a phase's figures.
type costOf string

// The units.
const (
	perMessage      costOf = "message"
	perConnection   costOf = "connection"
	perSubscription costOf = "subscription"
)

// phase runs work and adds what it measured to the report.
func (r *runner) phase(name string, work func() (measured, error)) error {
	before, err := usageNow(r.o.PID)
	if err != nil {
		return err
	}
	stop := r.watch(name, before)
	m, err := work()
	stop()
	after, usageErr := usageNow(r.o.PID)
	if err == nil {
		err = usageErr
	}
	if err == nil {
		after.memory, err = r.settled(name, after.memory)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.report.add(name, m, before, after)
	return nil
}

// settled returns the broker's memory when it has had time to give back what was needed only to get there.
func (r *runner) settled(name string, now int64) (int64, error) {
	if r.o.Settle == 0 || name != phaseSubscribe && name != phaseStore && name != phaseQueue {
		return now, nil
	}
	select {
	case <-time.After(r.o.Settle):
	case <-r.ctx.Done(): // it ends early
	}
	later, err := usageNow(r.o.PID)
	return later.memory, err
}

// warmUp runs work that is not measured.
func (r *runner) warmUp(work func() error) error {
	if r.o.WarmUp <= 0 {
		return nil
	}
	before, err := usageNow(r.o.PID)
	if err != nil {
		return err
	}
	stop := r.watch("warm-up", before)
	err = work()
	stop()
	if err == nil {
		err = r.ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	return nil
}

// watch prints a line a second until the function returned is called, and ends the run when nothing goes on any more.
func (r *runner) watch(name string, since usage) func() {
	end := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		sent, received := r.counters()
		last := progress{at: time.Now(), sent: sent, received: received, operations: r.operations.Load(), usage: since}
		moved := last.at
		patience := r.o.Patience
		if r.o.Rate > 0 {
			patience = max(patience, time.Duration(3*float64(time.Second)/r.o.Rate))
		}
		for {
			select {
			case <-end:
				return
			case <-t.C:
			}
			now := r.look()
			if now.sent != last.sent || now.received != last.received || now.operations != last.operations || name == phaseHold {
				moved = now.at
			}
			r.print(name, since.at, last, now)
			last = now
			if now.at.Sub(moved) >= patience {
				r.lost(fmt.Errorf("%w for %v", errStandstill, patience))
			}
		}
	})
	return func() {
		close(end)
		ended.Wait()
	}
}

// progress is the state of the counters at one time.
type progress struct {
	at             time.Time
	sent, received uint64
	operations     int64
	usage          usage
}

func (r *runner) look() progress {
	p := progress{at: time.Now(), operations: r.operations.Load()}
	p.sent, p.received = r.counters()
	p.usage, _ = usageNow(r.o.PID) // if the broker has died, the connections tell
	return p
}

// print writes a line of progress.
func (r *runner) print(name string, start time.Time, last, now progress) {
	if r.progress == nil {
		return
	}
	seconds := now.at.Sub(last.at).Seconds()
	line := fmt.Sprintf("%4.0fs  %-9s", now.at.Sub(start).Seconds(), name)
	if n := now.operations - last.operations; n > 0 {
		line += fmt.Sprintf("  %.0f operations/s", float64(n)/seconds)
	}
	if now.sent > 0 || now.received > 0 {
		line += fmt.Sprintf("  sent %.0f/s  received %.0f/s", float64(now.sent-last.sent)/seconds, float64(now.received-last.received)/seconds)
	}
	if l := r.delivered.latency(); l != nil {
		line += fmt.Sprintf("  p99 %s", readable(l.P99))
	}
	if r.o.PID != 0 {
		line += fmt.Sprintf("  broker %.0f%% CPU, %.1f MB", 100*(now.usage.cpu-last.usage.cpu).Seconds()/seconds, float64(now.usage.memory)/1e6)
	}
	fmt.Fprintln(r.progress, line)
}
