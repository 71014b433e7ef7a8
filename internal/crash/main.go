// Command crash kills a broker again and again while clients use it, and proves from what was acknowledged that nothing is
// lost, duplicated, reordered or stale.
//
//	go run ./internal/crash -rounds 100            # kill -9 of the real command
//	go run ./internal/crash -rounds 100 -power     # a power cut: what was not synced is gone
//
// The clients are the simplest that follow the specification: publishers that number their messages and send again
// what was not acknowledged, subscribers that know what must come next, one that changes retained messages, one that changes its subscriptions
// and one that gives up its session now and then. A fault is printed as it is found; the exit status is 1 if there was any.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

type options struct {
	rounds int
	seed   uint64
	power  bool
	unio   string
	sync   string
	round  time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 20, "how often the broker is killed")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "of all that is random")
	flag.BoolVar(&o.power, "power", false, "cut the power instead of killing the process")
	flag.StringVar(&o.unio, "unio", "bin/unio", "the command")
	flag.StringVar(&o.sync, "sync", "always", "persistence_sync; off: without persistence")
	flag.DurationVar(&o.round, "round", 400*time.Millisecond, "the longest life of a broker")
	flag.Parse()
	r, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(2)
	}
	fmt.Println(r)
	if len(r.faults) > 0 {
		os.Exit(1)
	}
}

// run plays all rounds.
func run(o options) (*report, error) {
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := newReport(o.seed)
	random := rand.New(rand.NewPCG(o.seed, 0))
	var t target = &process{o: o, dir: dir}
	if o.power {
		t = newMachine(o)
	}
	w := newWorld(r, o.seed)
	defer w.stop()
	for range o.rounds {
		if err := t.start(w); err != nil {
			return nil, err
		}
		life := time.NewTimer(time.Duration(random.Int64N(int64(o.round))) + 10*time.Millisecond)
		<-life.C
		if err := t.crash(w); err != nil {
			return nil, err
		}
		r.count(&r.rounds)
	}
	if err := t.start(w); err != nil {
		return nil, err
	}
	w.drain()
	return r, t.end(w)
}
