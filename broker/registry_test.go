package broker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/uniomq/unio/mqtt"
)

// inRegistry runs a test with an empty registry, in virtual time, and checks at its end that nobody
// waits any more.
func inRegistry(t *testing.T, test func(t *testing.T, r *registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var r registry
		r.init()
		test(t, &r)
		synctest.Wait()
		for i := range r.shards {
			if n := len(r.shards[i].wait); n > 0 {
				t.Errorf("%d sessions are still waited for", n)
			}
		}
	})
}

// acquisition is what acquire has returned, once done.
type acquisition struct {
	sub   *subscriber
	fresh bool
	err   error
	done  bool
}

// mustAcquire acquires a session that nobody holds.
func (r *registry) mustAcquire(t *testing.T, key string, wantFresh bool) *subscriber {
	t.Helper()
	got := r.acquiring(t.Context(), key)
	if !got.done || got.err != nil || got.fresh != wantFresh {
		t.Fatalf("%+v; want a session with fresh %v", got, wantFresh)
	}
	return got.sub
}

// acquiring begins to acquire a session, and returns when it is acquired or waited for.
func (r *registry) acquiring(ctx context.Context, key string) *acquisition {
	got := new(acquisition)
	go func() {
		got.sub, got.fresh, got.err = r.acquire(ctx, key)
		got.done = true
	}()
	synctest.Wait()
	return got
}

// holding begins to hold a session; what it returns is 0 while that waits, 1 when it is held, and -1
// when the session has ended.
func (r *registry) holding(sub *subscriber) *int {
	got := new(int)
	go func() {
		if r.hold(sub) {
			*got = 1
			return
		}
		*got = -1
	}()
	synctest.Wait()
	return got
}

func (r *registry) releaseAndWait(sub *subscriber) {
	r.release(sub)
	synctest.Wait()
}

func TestRegistryLetsOneHoldASession(t *testing.T) {
	t.Parallel()
	inRegistry(t, func(t *testing.T, r *registry) {
		sub := r.mustAcquire(t, "a", true)
		other := r.mustAcquire(t, "b", true)
		if sub.key != "a" || other.key != "b" || r.find("a") != sub || r.find("b") != other || r.find("c") != nil {
			t.Error("a session is not found by its key")
		}
		next := r.acquiring(t.Context(), "a")
		if next.done {
			t.Fatal("two hold one session")
		}
		r.releaseAndWait(sub)
		if !next.done || next.sub != sub || next.fresh || next.err != nil {
			t.Errorf("%+v; want the session, which is not fresh", next)
		}
		r.release(sub)
		r.mustAcquire(t, "a", false)
		first, second := r.holding(sub), r.holding(sub)
		for i, want := range [][2]int{{0, 0}, {1, 0}, {1, 1}} {
			if i > 0 {
				r.releaseAndWait(sub)
			}
			if *first != want[0] || *second != want[1] {
				t.Fatalf("after %d releases: %d, %d; want %v", i, *first, *second, want)
			}
		}
		r.releaseAndWait(sub)
		brief, next := r.holding(sub), r.acquiring(t.Context(), "a")
		if *brief != 1 || next.done {
			t.Errorf("%d, %+v; want a session that is held for a moment, and a connection that waits", *brief, next)
		}
		r.releaseAndWait(sub)
	})
}

func TestRegistryLetsTheNewestConnectionWaitAlone(t *testing.T) {
	t.Parallel()
	inRegistry(t, func(t *testing.T, r *registry) {
		sub := r.mustAcquire(t, "a", true)
		older := r.acquiring(t.Context(), "a")
		newer := r.acquiring(t.Context(), "a")
		if !older.done || !errors.Is(older.err, errSuperseded) || !errors.Is(older.err, mqtt.ServerBusy) || older.sub != nil {
			t.Errorf("%+v; want errSuperseded", older)
		}
		if newer.done {
			t.Fatalf("%+v while the session is held", newer)
		}
		r.releaseAndWait(sub)
		if !newer.done || newer.sub != sub {
			t.Errorf("%+v; want the session", newer)
		}
	})
}

func TestRegistryServesBriefHoldersInOrderAndBeforeAConnection(t *testing.T) {
	t.Parallel()
	inRegistry(t, func(t *testing.T, r *registry) {
		sub := r.mustAcquire(t, "a", true)
		connection := r.acquiring(t.Context(), "a")
		first, second := r.holding(sub), r.holding(sub)
		for i, want := range []struct {
			first, second int
			connection    bool
		}{{0, 0, false}, {1, 0, false}, {1, 1, false}, {1, 1, true}} {
			if i > 0 {
				r.releaseAndWait(sub)
			}
			if *first != want.first || *second != want.second || connection.done != want.connection {
				t.Fatalf("after %d releases: %d, %d, %v; want %+v", i, *first, *second, connection.done, want)
			}
		}
		r.release(sub)
		if got := r.holding(sub); *got != 1 {
			t.Error("a session that nobody holds cannot be held")
		}
	})
}

func TestRegistryGivesAFreshSessionAfterAnEnd(t *testing.T) {
	t.Parallel()
	inRegistry(t, func(t *testing.T, r *registry) {
		sub := r.mustAcquire(t, "a", true)
		brief, connection := r.holding(sub), r.acquiring(t.Context(), "a")
		r.remove(sub)
		synctest.Wait()
		if r.find("a") != nil {
			t.Error("an ended session is found")
		}
		if *brief != 0 || connection.done {
			t.Error("an ended session is given up before its holder releases it")
		}
		r.releaseAndWait(sub)
		if *brief != -1 {
			t.Errorf("who waited for the ended session got %d, want -1", *brief)
		}
		if !connection.done || connection.sub == sub || !connection.fresh || r.find("a") != connection.sub {
			t.Fatalf("%+v; want a fresh session", connection)
		}
		if got := r.holding(sub); *got != -1 {
			t.Error("an ended session can be held")
		}
		if got := r.holding(connection.sub); *got != 0 {
			t.Error("the fresh session is not held by its connection")
		}
		r.releaseAndWait(connection.sub)
		r.release(connection.sub)
	})
}

func TestRegistryRenewsASessionForItsHolder(t *testing.T) {
	t.Parallel()
	inRegistry(t, func(t *testing.T, r *registry) {
		sub := r.mustAcquire(t, "a", true)
		brief, connection := r.holding(sub), r.acquiring(t.Context(), "a")
		r.remove(sub)
		fresh := r.renew(sub)
		synctest.Wait()
		again := r.holding(fresh)
		if fresh == sub || r.find("a") != fresh {
			t.Error("the renewed session is not found")
		}
		if *brief != -1 || connection.done {
			t.Errorf("brief %d, connection %+v; want -1, and a connection that waits", *brief, connection)
		}
		if *again != 0 {
			t.Error("the renewed session is not held by who renewed it")
		}
		r.releaseAndWait(fresh)
		r.releaseAndWait(fresh) // by the brief holder
		if !connection.done || connection.sub != fresh || connection.fresh {
			t.Errorf("%+v; want the renewed session", connection)
		}
	})
}

func TestRegistryWaitsNoLongerThanTheContext(t *testing.T) {
	t.Parallel()
	inRegistry(t, func(t *testing.T, r *registry) {
		sub := r.mustAcquire(t, "a", true)
		ctx, cancel := context.WithCancel(t.Context())
		gone := r.acquiring(ctx, "a")
		cancel()
		synctest.Wait()
		if !gone.done || !errors.Is(gone.err, context.Canceled) {
			t.Fatalf("%+v; want the end of the context", gone)
		}
		r.release(sub)
		r.mustAcquire(t, "a", false)
	})
}

// A turn that comes together with the end of the context is taken: nobody else would release.
func TestRegistryLosesNoTurnAtTheEndOfTheContext(t *testing.T) {
	t.Parallel()
	inRegistry(t, func(t *testing.T, r *registry) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		sub := r.mustAcquire(t, "a", true)
		for range 32 { // select takes any of two that are ready
			sh := r.shard("a")
			ch := sh.queue("a").supersede()
			r.release(sub)
			if got, _, err := sh.await(ctx, "a", ch); got != sub || err != nil {
				t.Fatalf("%v, %v; want the session", got, err)
			}
		}
	})
}

func TestRegistryKeepsNothingOfEndedSessions(t *testing.T) {
	t.Parallel()
	inRegistry(t, func(t *testing.T, r *registry) {
		sub := r.mustAcquire(t, "a", true)
		r.remove(sub)
		r.release(sub)
		if n := len(r.shard("a").byKey); n != 0 {
			t.Errorf("%d sessions after the end of the only one", n)
		}
		r.release(r.mustAcquire(t, "a", true))
		r.mustAcquire(t, "a", false)
	})
}
