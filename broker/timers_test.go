package broker

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// offline returns a session whose client is away.
func offline() *subscriber { return &subscriber{away: new(away)} }

func kicked(t *timers) bool {
	select {
	case <-t.kick:
		return true
	default:
		return false
	}
}

// Sessions are set, set again and taken out at random. Each comes when it is due, in order.
func TestTimersGiveSessionsInTheOrderOfTheirTimes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	began := time.Unix(1_000_000, 0)
	for range 20 {
		var timers timers
		timers.init()
		due := map[*subscriber]time.Time{}
		subs := make([]*subscriber, 50)
		for i := range subs {
			subs[i] = offline()
		}
		for range 300 {
			sub, at := subs[random.IntN(len(subs))], began.Add(time.Duration(1+random.IntN(100))*time.Second)
			if random.IntN(3) == 0 {
				at = time.Time{}
				delete(due, sub)
			} else {
				due[sub] = at
			}
			timers.set(sub, at)
		}
		drainTimers(t, &timers, due, began)
	}
}

// drainTimers lets time go on as next asks for it, until nothing is due any more.
func drainTimers(t *testing.T, timers *timers, due map[*subscriber]time.Time, now time.Time) {
	t.Helper()
	for len(due) > 0 {
		sub, wait := timers.next(now)
		if sub == nil {
			if wait <= 0 {
				t.Fatalf("wait for %v", wait)
			}
			for _, at := range due {
				if at.Before(now.Add(wait)) {
					t.Fatalf("next waits %v, beyond a session that is due in %v", wait, at.Sub(now))
				}
			}
			now = now.Add(wait)
			continue
		}
		if at, ok := due[sub]; !ok || at.After(now) || sub.away.index != 0 {
			t.Fatalf("a session is given at %v that is due at %v (%v), index %d", now, at, ok, sub.away.index)
		}
		delete(due, sub)
	}
	if sub, wait := timers.next(now.Add(time.Hour)); sub != nil || wait <= 0 {
		t.Errorf("%v, %v from empty timers", sub, wait)
	}
}

func TestTimersLeaveConnectedSessionsAlone(t *testing.T) {
	t.Parallel()
	var timers timers
	timers.init()
	timers.set(new(subscriber), time.Unix(1, 0))
	if sub, _ := timers.next(time.Unix(2, 0)); sub != nil || kicked(&timers) {
		t.Error("a session whose client is connected became due")
	}
}

func TestTimersTellOfAnEarlierTimeAlone(t *testing.T) {
	t.Parallel()
	var timers timers
	timers.init()
	a, b := offline(), offline()
	for i, step := range []struct {
		sub  *subscriber
		at   int64
		want bool
	}{{a, 100, true}, {b, 200, false}, {b, 50, true}, {b, 300, false}, {a, 90, true}, {a, 0, false}} {
		at := time.Unix(step.at, 0)
		if step.at == 0 {
			at = time.Time{}
		}
		if timers.set(step.sub, at); kicked(&timers) != step.want {
			t.Errorf("step %d: told is %v, want %v", i, !step.want, step.want)
		}
	}
	timers.set(a, time.Unix(20, 0))
	timers.set(b, time.Unix(10, 0)) // nobody has listened: it does not wait
}

// waitsBriefly reports whether somebody waits to hold a session for a moment.
func (r *registry) waitsBriefly(key string) bool {
	sh := r.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w := sh.wait[key]
	return w != nil && len(w.brief) > 0
}

// The timers' goroutine sleeps until the earliest time, also one that is set while it sleeps, and
// takes hold of the session then.
func TestTimersWakeAtTheEarliestTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b Broker
		var stop context.CancelFunc
		b.ctx, stop = context.WithCancel(t.Context())
		b.registry.init()
		b.timers.init()
		b.wg.Add(1)
		go b.runTimers()
		began := time.Now()
		held := map[string]time.Duration{}
		for _, s := range []struct {
			key string
			due time.Duration
		}{{"late", 3 * time.Hour}, {"soon", time.Minute}, {"between", 2 * time.Hour}} {
			sub := b.registry.mustAcquire(t, s.key, true)
			sub.away = new(away)
			b.timers.set(sub, began.Add(s.due))
			synctest.Wait()
		}
		for time.Since(began) < 4*time.Hour {
			time.Sleep(time.Minute)
			synctest.Wait()
			for _, key := range []string{"soon", "between", "late"} {
				if sub := b.registry.find(key); sub.away != nil && b.registry.waitsBriefly(key) {
					held[key] = time.Since(began)
					sub.away = nil // back: there is nothing to do
					b.registry.releaseAndWait(sub)
				}
			}
		}
		if held["soon"] != time.Minute || held["between"] != 2*time.Hour || held["late"] != 3*time.Hour {
			t.Errorf("woken after %v", held)
		}
		stop()
		b.wg.Wait()
	})
}
