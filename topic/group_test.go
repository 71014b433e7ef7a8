package topic

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

func group(keys ...int) *Group[int] {
	g := &Group[int]{name: "g", filter: "a"}
	for _, k := range keys {
		g.join(Subscription[int]{Key: k})
	}
	return g
}

func all(Subscription[int]) bool { return true }

// picks returns the keys of n picks; -1 for nobody.
func picks(g *Group[int], n int, ok func(Subscription[int]) bool) []int {
	var list []int
	for range n {
		s, found := g.Pick(ok)
		if !found {
			s.Key = -1
		}
		list = append(list, s.Key)
	}
	return list
}

func TestPickTakesTurns(t *testing.T) {
	t.Parallel()
	g := group(1, 2, 3)
	if got := picks(g, 7, all); !slices.Equal(got, []int{1, 2, 3, 1, 2, 3, 1}) {
		t.Errorf("picked %d", got)
	}
	odd := func(s Subscription[int]) bool { return s.Key%2 == 1 }
	if got := picks(g, 4, odd); !slices.Equal(got, []int{3, 1, 3, 1}) {
		t.Errorf("picked %d of the odd", got)
	}
	if got := picks(g, 2, all); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("then picked %d", got)
	}
}

func TestPickAsksEachMemberOnce(t *testing.T) {
	t.Parallel()
	g := group(1, 2, 3, 4)
	g.Pick(all)
	for range 2 { // and it is the same member's turn afterwards
		var asked []int
		_, found := g.Pick(func(s Subscription[int]) bool { asked = append(asked, s.Key); return false })
		if found || !slices.Equal(asked, []int{2, 3, 4, 1}) {
			t.Errorf("asked %d", asked)
		}
	}
}

func TestPickFindsNobodyInAnEmptyGroup(t *testing.T) {
	t.Parallel()
	g := group(1)
	if removed, empty := g.leave(1); !removed || !empty {
		t.Errorf("leave = %v, %v", removed, empty)
	}
	if got := picks(g, 1, all); got[0] != -1 {
		t.Errorf("picked %d", got)
	}
}

func TestNewMemberIsLastInTurn(t *testing.T) {
	t.Parallel()
	g := group(1, 2, 3)
	g.Pick(all)
	g.join(Subscription[int]{Key: 4})
	if got := picks(g, 5, all); !slices.Equal(got, []int{2, 3, 1, 4, 2}) {
		t.Errorf("picked %d", got)
	}
}

func TestLeavingKeepsTheOrder(t *testing.T) {
	t.Parallel()
	g := group(1, 2, 3, 4, 5)
	g.Pick(all)
	g.leave(2) // whose turn it is
	g.leave(4)
	if got := picks(g, 4, all); !slices.Equal(got, []int{3, 5, 1, 3}) {
		t.Errorf("picked %d", got)
	}
}

func TestReplacedMemberKeepsItsTurn(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 2 * indexFrom} {
		g := group()
		for k := range n {
			g.join(Subscription[int]{Key: k})
		}
		if g.join(Subscription[int]{Key: 0, ID: 7}) || g.Len() != n {
			t.Errorf("%d members: a replaced member is new", n)
		}
		if s, _ := g.Pick(all); s.Key != 0 || s.ID != 7 {
			t.Errorf("%d members: picked %v", n, s)
		}
		if s, _ := g.Pick(all); s.Key != 1%n {
			t.Errorf("%d members: then picked %v", n, s)
		}
	}
}

func TestGroupMayChangeWhilePickAsks(t *testing.T) {
	t.Parallel()
	g := group(1, 2, 3)
	var asked []int
	s, found := g.Pick(func(s Subscription[int]) bool {
		asked = append(asked, s.Key)
		g.leave(s.Key)
		return s.Key == 3
	})
	if !found || s.Key != 3 || g.Len() != 0 {
		t.Errorf("picked %v of %d", s, asked)
	}
}

// TestGroupAgreesWithASlice changes a group at random and compares each turn with a
// queue in a slice.
func TestGroupAgreesWithASlice(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	g, queue := group(), []int(nil)
	for step := range 20_000 {
		k := r.IntN(100)
		at := slices.Index(queue, k)
		switch op := r.IntN(10); {
		case op < 3+step/2000%2*3:
			if added := g.join(Subscription[int]{Key: k}); added != (at < 0) {
				t.Fatalf("join(%d) = %v", k, added)
			} else if added {
				queue = append(queue, k)
			}
		case op < 7:
			if removed, empty := g.leave(k); removed != (at >= 0) || empty != (g.Len() == 0) {
				t.Fatalf("leave(%d) = %v, %v", k, removed, empty)
			} else if removed {
				queue = slices.Delete(queue, at, at+1)
			}
		default:
			s, found := g.Pick(func(s Subscription[int]) bool { return s.Key%3 != 0 })
			i := slices.IndexFunc(queue, func(k int) bool { return k%3 != 0 })
			if found != (i >= 0) || found && s.Key != queue[i] {
				t.Fatalf("picked %v, %v of %d", s, found, queue)
			}
			queue = slices.Concat(queue[i+1:], queue[:i+1])
		}
		if g.Len() != len(queue) {
			t.Fatalf("Len %d, want %d", g.Len(), len(queue))
		}
	}
}

func TestPickIsFairConcurrently(t *testing.T) {
	t.Parallel()
	const members, pickers, each = 10, 8, 1000
	g := group()
	for k := range members {
		g.join(Subscription[int]{Key: k})
	}
	var counts [members]atomic.Int32
	var wg sync.WaitGroup
	for range pickers {
		wg.Go(func() {
			for range each {
				s, _ := g.Pick(all)
				counts[s.Key].Add(1)
			}
		})
	}
	wg.Wait()
	for k := range counts {
		if n := counts[k].Load(); n != pickers*each/members {
			t.Errorf("member %d was picked %d times, want %d", k, n, pickers*each/members)
		}
	}
}

// TestPickFindsTheOnlyWillingMember runs picks side by side, each of which must find
// it, whoever's turn the others have made it.
func TestPickFindsTheOnlyWillingMember(t *testing.T) {
	t.Parallel()
	g := group(1, 2, 3, 4)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if s, found := g.Pick(func(s Subscription[int]) bool { return s.Key == 3 }); !found || s.Key != 3 {
					t.Errorf("picked %v, %v", s, found)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestGroupIsFoundByItsSharedSubscription(t *testing.T) {
	t.Parallel()
	ix := NewIndex[string]()
	for _, filter := range []string{"a/b", "a/+/#"} {
		shared := "$share/g/" + filter
		if ix.Group(shared) != nil {
			t.Errorf("%s is there without a member", shared)
		}
		ix.Subscribe(filter, Subscription[string]{Key: "other"})
		ix.Subscribe("$share/h/"+filter, Subscription[string]{Key: "other"})
		ix.Subscribe(shared, Subscription[string]{Key: "c"})
		g := ix.Group(shared)
		if g == nil || g.Shared() != shared || g.Len() != 1 {
			t.Fatalf("%s: %+v", shared, g)
		}
		ix.Unsubscribe(shared, "c")
		if ix.Group(shared) != nil || ix.Group(filter) != nil {
			t.Errorf("%s is there after its last member", shared)
		}
	}
}
