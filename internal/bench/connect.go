package bench

import (
	"fmt"
	"sync/atomic"
	"time"
)

// connects connects and disconnects again and again, some clients at a time.
func (r *runner) connects() error {
	if err := r.warmUp(func() error { return r.connectCycles(r.o.WarmUp, 0) }); err != nil {
		return err
	}
	r.delivered.reset()
	r.lateness.reset()
	before := r.operations.Load()
	err := r.phase(phaseConnect, func() (measured, error) {
		err := r.connectCycles(r.o.For, r.o.Messages)
		return measured{count: int(r.operations.Load() - before), cost: perConnection}, err
	})
	if err != nil {
		return err
	}
	r.describe()
	return nil
}

// connectCycles runs for a time or, if it is not 0, a number of connections.
func (r *runner) connectCycles(d time.Duration, n int) error {
	var taken atomic.Int64
	start := r.now()
	// ticket returns the number of the next connection and when it is due; ok is false at the end.
	ticket := func() (i int, due int64, ok bool) {
		i = int(taken.Add(1)) - 1
		due = r.now()
		if r.o.Rate > 0 {
			due = start + int64(float64(i)*float64(time.Second)/r.o.Rate)
		}
		return i, due, r.ctx.Err() == nil && (n == 0 || i < n) && (n > 0 || due-start < int64(d))
	}
	cycle := func(int) error {
		for {
			i, due, ok := ticket()
			if !ok || r.hasFailed() {
				return nil
			}
			if !r.sleepUntil(due) {
				return nil
			}
			c, err := r.connect(r.ctx, client{id: fmt.Sprintf("%s-%d", r.id, i), clean: true, buffer: smallBuffer})
			if err != nil {
				if r.ctx.Err() != nil {
					return nil // the end came while it connected
				}
				return err
			}
			r.delivered.add(time.Duration(r.now()-due), 1)
			c.disconnect()
			r.operations.Add(1)
		}
	}
	err := r.each(r.o.Connections, r.o.Connections, cycle)
	if err == nil && r.hasFailed() {
		err = r.failure
	}
	return err
}

// sleepUntil sleeps until a time since the run began; it returns false if the run ends before.
func (r *runner) sleepUntil(due int64) bool {
	for wait := due - r.now(); wait > 0; wait = due - r.now() {
		if r.ctx.Err() != nil || r.hasFailed() {
			return false
		}
		time.Sleep(min(time.Duration(wait), sleepAtMost))
	}
	return true
}

func (r *runner) hasFailed() bool {
	select {
	case <-r.failed:
		return true
	default:
		return false
	}
}

// idle opens connections with one subscription each, looks at the broker's memory, and after a time whether they all live.
func (r *runner) idle() error {
	conns := make([]*conn, r.o.Connections)
	base, err := usageNow(r.o.PID)
	if err != nil {
		return err
	}
	start := r.now()
	err = r.phase(phaseConnect, func() (measured, error) {
		err := r.each(len(conns), connecting, func(i int) error {
			due := r.now()
			if r.o.Rate > 0 {
				due = start + int64(float64(i)*float64(time.Second)/r.o.Rate)
			}
			if !r.sleepUntil(due) {
				return r.ctx.Err()
			}
			c, err := r.connect(r.ctx, client{id: fmt.Sprintf("%s-%d", r.id, i), clean: true, buffer: 64})
			if err != nil {
				return err
			}
			r.keep(c)
			r.delivered.add(time.Duration(r.now()-due), 1)
			r.operations.Add(1)
			conns[i] = c
			return c.subscribe(fmt.Sprintf("%s/%d", r.id, i), r.o.QoS)
		})
		return measured{count: len(conns), cost: perConnection}, err
	})
	if err != nil {
		return err
	}
	r.describe()
	if r.o.For > 0 {
		if err := r.hold(len(conns), base); err != nil {
			return err
		}
	}
	var dead atomic.Int64
	_ = r.each(len(conns), connecting, func(i int) error { // an error is counted
		if conns[i].ping() != nil {
			dead.Add(1)
		}
		return nil
	})
	r.report.Dead = int(dead.Load())
	return nil
}

// hold waits. Its memory is that since base, before there was any connection.
func (r *runner) hold(n int, base usage) error {
	err := r.phase(phaseHold, func() (measured, error) {
		timer := time.NewTimer(r.o.For)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.ctx.Done():
		}
		return measured{count: n, cost: perConnection}, nil
	})
	if err != nil || r.o.PID == 0 {
		return err
	}
	now, err := usageNow(r.o.PID)
	p := r.report.last()
	p.MemoryGrowth = now.memory - base.memory
	p.MemoryEach = float64(p.MemoryGrowth) / float64(n)
	return err
}
