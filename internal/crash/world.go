package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// target is the broker that is killed.
type target interface {
	start(w *world) error // returns when clients can connect
	crash(w *world) error
	end(w *world) error
}

// actor is a client.
type actor interface {
	// play connects and goes on until the connection ends. It returns errDone when the world drains and the actor's work is over.
	play(w *world) error
}

// world holds the clients. They live as long as the program, and connect whenever there is a broker.
type world struct {
	r       *report
	seed    uint64
	running sync.WaitGroup

	publishers  []*publisher
	subscribers []*subscriber

	mu       sync.Mutex
	changed  sync.Cond
	address  string // of the broker, "": there is none
	lives    int    // brokers started
	conns    map[net.Conn]struct{}
	draining bool
	stopped  bool
}

func newWorld(r *report, seed uint64) *world {
	w := &world{r: r, seed: seed, conns: make(map[net.Conn]struct{})}
	w.changed.L = &w.mu
	for i, p := range []*publisher{
		{qos: 1, version: mqtt.V311},
		{qos: 2, version: mqtt.V311},
		{qos: 1, version: mqtt.V5},
		{qos: 2, version: mqtt.V5},
		{qos: 1, version: mqtt.V5, clean: true},
	} {
		p.name, p.done = string(rune('a'+i)), make(chan struct{})
		w.publishers = append(w.publishers, p)
	}
	for i, s := range []*subscriber{
		{version: mqtt.V311}, {version: mqtt.V5}, {version: mqtt.V5, leaves: true}, {version: mqtt.V311, rare: 5},
	} {
		s.name, s.ready = string(rune('1'+i)), make(chan struct{})
		w.subscribers = append(w.subscribers, s)
	}
	var actors []actor
	for _, s := range w.subscribers {
		actors = append(actors, s)
	}
	for _, p := range w.publishers {
		actors = append(actors, p)
	}
	actors = append(actors, &retainer{}, &changer{}, &quitter{})
	for i, a := range actors {
		w.running.Go(func() { w.run(a, rand.New(rand.NewPCG(seed, uint64(i+1)))) })
	}
	return w
}

// run plays an actor again and again.
func (w *world) run(a actor, r *rand.Rand) {
	for w.alive() {
		if errors.Is(a.play(w), errDone) {
			return
		}
		pause := time.NewTimer(time.Duration(r.Int64N(int64(3 * time.Millisecond))))
		<-pause.C
	}
}

// alive waits for a broker and reports false when the world has ended.
func (w *world) alive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.address == "" && !w.stopped {
		w.changed.Wait()
	}
	return !w.stopped
}

func (w *world) isDraining() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining
}

func (w *world) life() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lives
}

// open says where the broker is.
func (w *world) open(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.address = address
	w.lives++
	w.changed.Broadcast()
}

// shut says that there is none, and cuts all connections: nothing that the broker says from now on is heard.
func (w *world) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.address = ""
	for nc := range w.conns {
		_ = nc.Close()
	}
	clear(w.conns)
}

func (w *world) dial() (net.Conn, error) {
	w.mu.Lock()
	address := w.address
	w.mu.Unlock()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.address != address || address == "" {
		_ = nc.Close()
		return nil, net.ErrClosed
	}
	w.conns[nc] = struct{}{}
	return nc, nc.SetDeadline(time.Now().Add(patience))
}

// drain lets publishers send nothing new, and waits until all has arrived.
func (w *world) drain() {
	w.mu.Lock()
	w.draining = true
	for nc := range w.conns { // so that everybody looks
		_ = nc.Close()
	}
	clear(w.conns)
	w.mu.Unlock()
	late := time.AfterFunc(3*patience, func() {
		w.r.fault("not all clients have come to their end")
		w.end()
	})
	defer late.Stop()
	w.running.Wait()
}

func (w *world) stop() {
	w.end()
	w.running.Wait()
}

// end stops the clients.
func (w *world) end() {
	w.mu.Lock()
	w.stopped = true
	w.changed.Broadcast()
	w.mu.Unlock()
	w.shut()
	for _, p := range w.publishers {
		p.once.Do(func() { close(p.done) })
	}
}
