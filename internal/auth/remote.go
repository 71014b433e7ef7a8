package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/uniomq/unio/broker"
)

// RemoteOptions bound what a backend that asks somebody else may cost.
type RemoteOptions struct {
	Timeout time.Duration // of one answer; 0: DefaultTimeout
	// CacheSize bounds the answers that are remembered, of Allow and of the other verdicts each; 0: none are.
	CacheSize int
	// CacheTime is how long an Allow is remembered, and CacheTimeFailed another verdict; 0: it is not.
	CacheTime, CacheTimeFailed time.Duration
}

// DefaultTimeout is how long a remote backend may take for an answer.
const DefaultTimeout = 5 * time.Second

// A Bounded Backend asks by so many connections at once, at most.
type Bounded interface {
	Backend
	Connections() int
}

// Remote returns a backend that gives b no longer than the timeout, and remembers its answers for the same user name, password,
// client id, address and listener. Of a password it keeps an HMAC under a key of this process. Errors are not remembered. A wrapped
// backend is closed by the Authenticator, when no chain has it any more. At a Bounded one IP addresses take turns, and who hangs up
// while it waits is dropped.
func Remote(b Backend, o RemoteOptions) Backend {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	r := &remote{Backend: b, o: o, allowed: newCache(o.CacheSize, o.CacheTime), refused: newCache(o.CacheSize, o.CacheTimeFailed)}
	if bounded, ok := b.(Bounded); ok {
		r.turns = newTurns(int64(bounded.Connections()))
	}
	return r
}

type remote struct {
	Backend
	o                RemoteOptions
	allowed, refused *cache // apart, so that a flood of failures does not drive out who is let in
	turns            *turns // nil: nobody waits
}

// Unwrap returns the backend that asks.
func (r *remote) Unwrap() Backend { return r.Backend }

func (r *remote) Check(ctx context.Context, q *Request) (Answer, error) {
	key := cacheKey(q)
	if a, ok := r.remembered(key); ok {
		return a, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.o.Timeout, fmt.Errorf("no answer within %v", r.o.Timeout))
	defer cancel()
	if r.turns != nil {
		waited, err := r.turns.enter(ctx, Network(addressOf(q.Client)), 1)
		if err != nil {
			return Answer{}, fmt.Errorf("wait for a connection: %w", context.Cause(ctx))
		}
		defer r.turns.leave(1)
		if waited && broker.Gone(ctx) {
			return Answer{}, ErrGone
		}
		if a, ok := r.remembered(key); waited && ok { // meanwhile
			return a, nil
		}
	}
	now := time.Now()
	a, err := r.Backend.Check(ctx, q)
	switch {
	case err != nil:
		if ctx.Err() != nil { // what a driver says then is less clear, and loses the cause
			err = fmt.Errorf("%w (%s)", context.Cause(ctx), err.Error())
		}
		return Answer{}, err
	case a.Verdict == Allow:
		r.allowed.put(key, a, now)
	default:
		r.refused.put(key, a, now)
	}
	return a, nil
}

// remembered returns the answer to the same question.
func (r *remote) remembered(key [32]byte) (Answer, bool) {
	now := time.Now()
	a, ok := r.allowed.get(key, now)
	if !ok {
		a, ok = r.refused.get(key, now)
	}
	if ok {
		a.Reason += ", remembered"
	}
	return a, ok
}

func (r *remote) Valid(c *broker.Client, proof any) bool {
	v, ok := r.Backend.(Validator)
	return !ok || v.Valid(c, proof)
}

func (r *remote) Recheck(ctx context.Context, c *broker.Client, proof any) (bool, error) {
	re, ok := r.Backend.(Rechecker)
	if !ok {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	return re.Recheck(ctx, c, proof)
}

// cacheKey stands for all that an answer may depend on.
func cacheKey(q *Request) [32]byte {
	c := q.Client
	has := "-"
	if c.HasUsername {
		has = "u"
	}
	if q.Password != nil {
		has += "p"
	}
	return tag(has, c.Username, string(q.Password), c.ID, addressOf(c).String(), c.Listener)
}
