package auth

import (
	"context"
	"runtime"

	"golang.org/x/sync/semaphore"
)

// gateMemory is how much memory the hashes that are computed at the same time may use
// together, in KiB. A hash that needs more is computed alone.
const gateMemory = 512 << 10

// A gate bounds the computing of hashes, so that a flood of CONNECTs takes neither all
// processors nor all memory from the clients that are connected. Who has to wait, waits
// in order of arrival, at most until its context ends.
type gate struct {
	sem   *semaphore.Weighted
	least int64 // the weight of a hash that needs no memory to speak of
}

// newGate returns a gate that leaves one processor free, if there is more than one.
func newGate() *gate {
	slots := max(runtime.GOMAXPROCS(0)-1, 1)
	return &gate{sem: semaphore.NewWeighted(gateMemory), least: gateMemory / int64(slots)}
}

// enter waits until h may be computed. Leave is to be called when that is done.
func (g *gate) enter(ctx context.Context, h *Hash) (leave func(), err error) {
	weight := min(max(g.least, int64(h.memory)), gateMemory)
	if err := g.sem.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { g.sem.Release(weight) }, nil
}
