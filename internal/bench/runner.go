package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connecting is how many connections are opened at a time where nothing else is said.
const connecting = 32

// runner is one run.
type runner struct {
	o        Options
	ctx      context.Context // for connecting; and when it ends, the measurement does
	dialer   *dialer
	id       string // begins client ids and topics, so that no other run's messages are taken for ours
	epoch    time.Time
	progress io.Writer
	report   Report

	publishers  []*publisher
	subscribers []*subscriber

	delivered, acknowledged, lateness histogram

	paced  bool // there is a rate
	direct bool // deliveries complete the phase; nothing is sent because of them
	// start is when message 0 of the schedule is due, since epoch.
	start int64

	operations atomic.Int64 // connections, subscriptions
	stopped    atomic.Bool  // no new windows
	left       atomic.Int64 // of the phase
	done       chan struct{}

	wg      sync.WaitGroup
	closing atomic.Bool
	failed  chan struct{}
	once    sync.Once
	failure error // valid when failed is closed

	mu    sync.Mutex
	conns []net.Conn
}

// Run runs a scenario. Progress is written once a second, if progress is not nil. When ctx ends the measurement ends early.
//
// The error is an *OptionError if the options do not fit. The report is nil if there is nothing to report. An error beside it says why
// the run ended early; a run may also succeed and its report not, see Report.Failure.
func Run(ctx context.Context, o Options, progress io.Writer) (*Report, error) {
	if err := o.complete(); err != nil {
		return nil, &OptionError{err}
	}
	d, err := newDialer(&o)
	if err != nil {
		return nil, &OptionError{err}
	}
	r := &runner{
		o: o, ctx: ctx, dialer: d, id: fmt.Sprintf("bench-%08x", rand.Uint32()), epoch: time.Now(), progress: progress,
		paced: o.Rate > 0 && o.Scenario != Connect && o.Scenario != Idle, failed: make(chan struct{}),
		report: newReport(&o),
	}
	err = map[string]func() error{
		OneToOne: r.oneToOne, FanOut: r.fan, FanIn: r.fan, Shared: r.shared, Wildcards: r.wildcards, Retained: r.retained,
		Offline: r.offline, Connect: r.connects, Idle: r.idle, Slow: r.slow,
	}[o.Scenario]()
	r.close()
	if len(r.report.Phases) == 0 && err != nil {
		return nil, err
	}
	r.verify()
	return &r.report, err
}

// now returns the nanoseconds since the run began.
func (r *runner) now() int64 { return int64(time.Since(r.epoch)) }

// intended returns when a message of the schedule should have been sent.
func (r *runner) intended(p *publisher, seq uint32) int64 {
	k := int64(seq-p.base)*int64(len(r.publishers)) + int64(p.number)
	return r.start + int64(float64(k)*float64(time.Second)/r.o.Rate)
}

// lost ends the run because a connection did not hold.
func (r *runner) lost(err error) {
	if r.closing.Load() {
		return
	}
	r.once.Do(func() {
		r.failure = err
		close(r.failed)
	})
}

// complete counts what the phase waits for.
func (r *runner) complete(n int) {
	if r.left.Add(-int64(n)) == 0 {
		close(r.done)
	}
}

// expect begins a phase that waits for n things.
func (r *runner) expect(n int) {
	r.stopped.Store(false)
	r.done = make(chan struct{})
	r.left.Store(int64(n))
}

// wait waits for the end of the phase.
func (r *runner) wait() error {
	select {
	case <-r.done:
		return nil
	case <-r.failed:
		return r.failure
	}
}

// read starts the reader of a connection.
func (r *runner) read(c *conn, name string, handle func([]byte) error, batch func() error) {
	r.wg.Go(func() {
		r.lost(fmt.Errorf("%s: %w", name, c.serve(handle, batch)))
	})
}

func (r *runner) readPublisher(p *publisher) {
	r.read(p.conn, fmt.Sprintf("publisher %d", p.number), p.handle, p.settle)
}

func (r *runner) readSubscriber(s *subscriber) {
	r.read(s.conn, fmt.Sprintf("subscriber %d", s.number), s.handle, s.settle)
}

// keep notes a connection that is to be closed at the end.
func (r *runner) keep(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
}

// close closes all connections and waits for all goroutines.
func (r *runner) close() {
	r.closing.Store(true)
	for _, c := range r.conns {
		c.Close()
	}
	r.wg.Wait()
}

// each runs f for 0 to n-1, some at a time, and returns the first error.
func (r *runner) each(n, atATime int, f func(i int) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	var once sync.Once
	var first error
	for range min(atATime, n) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				err := r.ctx.Err()
				if err == nil {
					err = f(i)
				}
				if err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	group.Wait()
	return first
}

// counters returns the messages sent and received so far.
func (r *runner) counters() (sent, received uint64) {
	for _, p := range r.publishers {
		if p != nil {
			sent += uint64(p.seq.Load())
		}
	}
	for _, s := range r.subscribers {
		if s != nil {
			received += s.received.Load()
		}
	}
	return sent, received
}

// errStandstill says that nothing went on for the time of Options.Patience.
var errStandstill = errors.New("nothing went on")

// verify adds up what the books say. All readers have ended.
func (r *runner) verify() {
	f := &r.report
	f.Verified = f.Size >= stampSize && len(r.subscribers) > 0 && r.o.Scenario != Slow
	for _, s := range r.subscribers {
		if s == nil {
			continue
		}
		f.Duplicates += s.duplicates.Load()
		f.Reordered += s.late.Load()
		if r.o.Scenario == Slow {
			continue
		}
		if !f.Verified {
			if p := r.publishers[s.first]; p != nil {
				f.Lost += uint64(max(int64(p.seq.Load())-int64(s.received.Load()), 0))
			}
			continue
		}
		for _, p := range r.publishers {
			if p != nil {
				f.Lost += uint64(s.book.lost(p.number, p.seq.Load()))
			}
		}
	}
}
