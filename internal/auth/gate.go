package auth

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// gateMemory is how much memory the hashes that are computed at the same time may use
// together, in KiB. A hash that needs more is computed alone.
const gateMemory = 512 << 10

// maxRefused is how many refused pairs of user name and password are remembered, at about 300 bytes each.
const maxRefused = 8192

// ErrGone says that a password was not checked, because its client has hung up while it waited for that.
var ErrGone = fmt.Errorf("the client hung up before its password was checked: %w", mqtt.ServerBusy)

// A Gate bounds the computing of hashes, so that a flood of CONNECTs takes neither all processors nor all memory from the
// clients that are connected. Addresses take turns, so that a flood from one holds up clients of others by a hash. Who has to
// wait does so at most until its context ends, and is dropped when its turn comes if its client is gone.
//
// A password that did not match is not hashed again: it is remembered with the user name and the hash, by an HMAC of them under
// a key of this process. Who gets another hash, by a reload or a command, is checked again.
type Gate struct {
	turns    *turns
	least    int64 // the weight of a hash that needs no memory to speak of
	refused  *cache
	computed atomic.Int64 // hashes
}

// NewGate returns a gate that leaves one processor free, if there is more than one. A process needs one.
func NewGate() *Gate {
	slots := max(runtime.GOMAXPROCS(0)-1, 1)
	return &Gate{
		turns: newTurns(gateMemory), least: gateMemory / int64(slots),
		refused: newCache(maxRefused, math.MaxInt64),
	}
}

// Matches is h.Matches for the client's password when its turn has come. The
// error is or wraps mqtt.ServerBusy.
func (g *Gate) Matches(ctx context.Context, r *Request, h *Hash) (bool, error) {
	pair := pairOf(r, h)
	if g.wasRefused(pair) {
		return false, nil
	}
	leave, err := g.enter(ctx, r.Client, h.memory)
	if err != nil {
		return false, err
	}
	defer leave()
	if g.wasRefused(pair) { // meanwhile
		return false, nil
	}
	g.computed.Add(1)
	if h.Matches(r.Password) {
		return true, nil
	}
	g.refused.put(pair, Answer{}, time.Now())
	return false, nil
}

// NewHash is NewHash for a client, with the default of iterations, when its turn has come.
func (g *Gate) NewHash(ctx context.Context, c *broker.Client, a Algorithm, password []byte) (*Hash, error) {
	var memory uint32
	if a == Argon2id {
		memory = newMemory
	}
	leave, err := g.enter(ctx, c, memory)
	if err != nil {
		return nil, err
	}
	defer leave()
	g.computed.Add(1)
	return NewHash(a, 0, password)
}

// enter waits until a hash that needs so many KiB may be computed for a client. Leave is to be called when that is done.
func (g *Gate) enter(ctx context.Context, c *broker.Client, memory uint32) (leave func(), err error) {
	weight := min(max(g.least, int64(memory)), gateMemory)
	waited, err := g.turns.enter(ctx, Network(addressOf(c)), weight)
	if err != nil {
		return nil, fmt.Errorf("wait for the check of the password: %w", mqtt.ServerBusy)
	}
	leave = func() { g.turns.leave(weight) }
	if waited && broker.Gone(ctx) {
		leave()
		return nil, ErrGone
	}
	return leave, nil
}

func (g *Gate) wasRefused(pair [32]byte) bool {
	_, was := g.refused.get(pair, time.Now())
	return was
}

// pairOf stands for a user name, a password and the hash that it is checked against. Those of unknown users are all the same,
// so that neither the time nor the memory tells whether a user exists.
func pairOf(r *Request, h *Hash) [32]byte {
	hash := ""
	if !h.nobodys {
		hash = h.String()
	}
	has := "-"
	if r.Password != nil {
		has = "p"
	}
	return tag(r.Client.Username, has, string(r.Password), hash)
}
