package main

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A load sends rounds of messages; delivered is what one round brings to subscribers.
type load struct {
	delivered int
	published int
	// rounds plays n rounds and returns when their last message has arrived.
	rounds func(n int) error
	times  *times // of windows, nil: not measured
	close  func()
}

// times collects how long windows took, from the first byte written to the last acknowledgement and delivery.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (t *times) add(d time.Duration) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, d)
}

// quantile returns the time that a share of the windows did not exceed.
func (t *times) quantile(q float64) time.Duration {
	if t == nil || len(t.all) == 0 {
		return 0
	}
	slices.Sort(t.all)
	return t.all[int(q*float64(len(t.all)-1))]
}

// measure connects the clients of a scenario, warms the broker up and measures.
func measure(o options) (*result, error) {
	if o.scenario == "idle" {
		return measureIdle(o)
	}
	build := map[string]func(options) (*load, error){
		"one-to-one": oneToOne, "fan-out": fanOut, "fan-in": fanIn,
	}[o.scenario]
	if build == nil {
		return nil, fmt.Errorf("no such scenario")
	}
	l, err := build(o)
	if err != nil {
		return nil, err
	}
	defer l.close()
	n := max(o.messages/l.published, 1)
	step := max(n/10, 1)
	if err := l.rounds(step); err != nil { // warms up
		return nil, err
	}
	cpu, err := cpuOf(o)
	if err != nil {
		return nil, err
	}
	if l.times != nil {
		l.times.all = nil
	}
	started := time.Now()
	played := 0
	for played < n || time.Since(started) < o.atLeast {
		if err := l.rounds(step); err != nil {
			return nil, err
		}
		played += step
	}
	r := &result{published: played * l.published, delivered: played * l.delivered, elapsed: time.Since(started)}
	after, err := cpuOf(o)
	r.cpu = after - cpu
	r.p50, r.p99 = l.times.quantile(0.5), l.times.quantile(0.99)
	return r, err
}

func cpuOf(o options) (time.Duration, error) {
	if o.pid == 0 {
		return 0, nil
	}
	return cpuTime(o.pid)
}

// all runs f for 0 to n-1, each in a goroutine, waits for all and returns the first error.
func all(n int, f func(i int) error) error {
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- f(i) }()
	}
	var first error
	for range n {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// oneToOne has pairs, each driven by one goroutine.
func oneToOne(o options) (*load, error) {
	pubs, subs := make([]*publisher, o.pairs), make([]*subscriber, o.pairs)
	for i := range o.pairs {
		topic := fmt.Sprintf("load/%d", i)
		var err error
		if subs[i], err = newSubscriber(o, fmt.Sprintf("load-sub-%d", i), topic); err != nil {
			return nil, err
		}
		if pubs[i], err = newPublisher(o, fmt.Sprintf("load-pub-%d", i), topic); err != nil {
			return nil, err
		}
	}
	var t *times
	if o.stored {
		t = new(times)
	}
	pair := func(i, n int) error {
		for range n {
			started := time.Now()
			if err := pubs[i].send(); err != nil {
				return err
			}
			if err := pubs[i].settle(); err != nil {
				return err
			}
			if err := subs[i].receive(o.window, nil); err != nil {
				return err
			}
			t.add(time.Since(started))
		}
		return nil
	}
	return &load{
		published: o.pairs * o.window,
		delivered: o.pairs * o.window,
		times:     t,
		rounds:    func(n int) error { return all(o.pairs, func(i int) error { return pair(i, n) }) },
		close:     func() { closeAll(pubs, subs) },
	}, nil
}

// fanOut has one publisher. Its next window follows when every subscriber has the one before.
func fanOut(o options) (*load, error) {
	const topic = "load/all"
	subs := make([]*subscriber, o.pairs)
	for i := range subs {
		var err error
		if subs[i], err = newSubscriber(o, fmt.Sprintf("load-sub-%d", i), topic); err != nil {
			return nil, err
		}
	}
	pub, err := newPublisher(o, "load-pub", topic)
	if err != nil {
		return nil, err
	}
	round := o.pairs * o.window
	play := func(n int) error {
		var arrived atomic.Int64
		complete := make(chan struct{}, 1)
		failed := make(chan error, o.pairs+1)
		count := func(k int) {
			if arrived.Add(int64(k))%int64(round) == 0 {
				complete <- struct{}{}
			}
		}
		publish := func() error {
			for range n {
				if err := pub.send(); err != nil {
					return err
				}
				if err := pub.settle(); err != nil {
					return err
				}
				select {
				case <-complete:
				case err := <-failed:
					return err
				}
			}
			return nil
		}
		return all(o.pairs+1, func(i int) error {
			if i == o.pairs {
				return publish()
			}
			err := subs[i].receive(n*o.window, count)
			if err != nil {
				failed <- err
			}
			return err
		})
	}
	return &load{
		published: o.window, delivered: round, rounds: play,
		close: func() { closeAll([]*publisher{pub}, subs) },
	}, nil
}

// fanIn has one subscriber. One goroutine writes for all publishers, so that a round costs little here.
func fanIn(o options) (*load, error) {
	const topic = "load/one"
	sub, err := newSubscriber(o, "load-sub", topic)
	if err != nil {
		return nil, err
	}
	pubs := make([]*publisher, o.pairs)
	for i := range pubs {
		if pubs[i], err = newPublisher(o, fmt.Sprintf("load-pub-%d", i), topic); err != nil {
			return nil, err
		}
	}
	round := o.pairs * o.window
	sendRound := func() error {
		for _, p := range pubs {
			if err := p.send(); err != nil {
				return err
			}
		}
		for _, p := range pubs {
			if err := p.settle(); err != nil {
				return err
			}
		}
		return nil
	}
	play := func(n int) error {
		for range n {
			received := make(chan error, 1)
			go func() { received <- sub.receive(round, nil) }()
			if err := sendRound(); err != nil {
				return err
			}
			if err := <-received; err != nil {
				return err
			}
		}
		return nil
	}
	return &load{
		published: round, delivered: round, rounds: play,
		close: func() { closeAll(pubs, []*subscriber{sub}) },
	}, nil
}

func closeAll(pubs []*publisher, subs []*subscriber) {
	for _, p := range pubs {
		p.Close()
	}
	for _, s := range subs {
		s.Close()
	}
}

// measureIdle opens connections with one subscription each and looks at the broker's memory.
func measureIdle(o options) (*result, error) {
	if o.pid == 0 {
		return nil, fmt.Errorf("the broker's -pid is needed")
	}
	before, err := residentBytes(o.pid)
	if err != nil {
		return nil, err
	}
	conns, err := openIdle(o)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	if o.settle > 0 {
		<-time.After(o.settle)
	}
	after, err := residentBytes(o.pid)
	return &result{connections: o.pairs, memory: after - before}, err
}

// openAtOnce is how many connections are opened at the same time: mosquitto takes 200 ms for each over WebSocket.
const openAtOnce = 50

// openIdle opens the connections of an idle run; those that are open are returned with the first error.
func openIdle(o options) (conns []*conn, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var next atomic.Int64
	for range openAtOnce {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(o.pairs); i = next.Add(1) {
				c, failed := dial(o, fmt.Sprintf("load-idle-%d", i), 256)
				if failed == nil {
					failed = c.subscribe(fmt.Sprintf("load/idle/%d", i), o.qos)
				}
				mu.Lock()
				if c != nil {
					conns = append(conns, c)
				}
				if failed != nil {
					err = cmp.Or(err, failed)
				}
				stop := err != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	return conns, err
}
