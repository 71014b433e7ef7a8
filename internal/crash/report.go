package main

import (
	"fmt"
	"strings"
	"sync"
)

// report counts what happened.
type report struct {
	mu       sync.Mutex
	seed     uint64
	rounds   int
	acked    int // publishes
	received int // messages, each once
	again    int // sent again, as MQTT allows
	checks   int // of retained messages, subscriptions and sessions
	faults   []string
}

func newReport(seed uint64) *report { return &report{seed: seed} }

func (r *report) count(n *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}

// fault notes what must not be.
func (r *report) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := fmt.Sprintf("round %d: "+format, append([]any{r.rounds + 1}, args...)...)
	if len(r.faults) < 20 {
		fmt.Println(f)
	}
	r.faults = append(r.faults, f)
}

// String has one line with the kinds of faults by number.
func (r *report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	kinds := map[string]int{}
	for _, f := range r.faults {
		for _, k := range []string{lost, duplicated, reordered, stale} {
			if strings.Contains(f, k) {
				kinds[k]++
			}
		}
	}
	return fmt.Sprintf("seed %d, %d rounds: %d publishes acknowledged, %d deliveries, %d sent again, %d checks of state: %d lost, %d duplicated, %d reordered, %d stale, %d faults in all",
		r.seed, r.rounds, r.acked, r.received, r.again, r.checks, kinds[lost], kinds[duplicated], kinds[reordered], kinds[stale], len(r.faults))
}

// The kinds of faults.
const (
	lost       = "lost"
	duplicated = "duplicated"
	reordered  = "reordered"
	stale      = "stale"
)
