package auth

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/semaphore"

	"github.com/uniomq/unio/mqtt"
)

// gateMemory is how much memory the hashes that are computed at the same time may use
// together, in KiB. A hash that needs more is computed alone.
const gateMemory = 512 << 10

// A Gate bounds the computing of hashes, so that a flood of CONNECTs takes neither all
// processors nor all memory from the clients that are connected. Who has to wait, waits
// in order of arrival, at most until its context ends.
type Gate struct {
	sem   *semaphore.Weighted
	least int64 // the weight of a hash that needs no memory to speak of
}

// NewGate returns a gate that leaves one processor free, if there is more than one. A process needs one.
func NewGate() *Gate {
	slots := max(runtime.GOMAXPROCS(0)-1, 1)
	return &Gate{sem: semaphore.NewWeighted(gateMemory), least: gateMemory / int64(slots)}
}

// Matches is h.Matches when its turn has come. A nil password matches nothing, and takes as long.
func (g *Gate) Matches(ctx context.Context, h *Hash, password []byte) (bool, error) {
	leave, err := g.enter(ctx, h)
	if err != nil {
		return false, fmt.Errorf("wait for the check of the password: %w", mqtt.ServerBusy)
	}
	defer leave()
	return h.Matches(password) && password != nil, nil
}

// enter waits until h may be computed. Leave is to be called when that is done.
func (g *Gate) enter(ctx context.Context, h *Hash) (leave func(), err error) {
	weight := min(max(g.least, int64(h.memory)), gateMemory)
	if err := g.sem.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { g.sem.Release(weight) }, nil
}
