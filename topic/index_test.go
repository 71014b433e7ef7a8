package topic

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestIndexMatch(t *testing.T) {
	t.Parallel()
	all := NewIndex[string]()
	for _, c := range matchCases {
		ix := NewIndex[string]()
		ix.Subscribe(c.filter, Subscription[string]{Key: "k"})
		if got := len(matchSubs(ix, c.name)) == 1; got != c.want {
			t.Errorf("%q has %q: %v", c.name, c.filter, got)
		}
		all.Subscribe(c.filter, Subscription[string]{Key: c.filter})
	}
	for _, c := range matchCases {
		got := slices.ContainsFunc(matchSubs(all, c.name), func(s Subscription[string]) bool { return s.Key == c.filter })
		if got != c.want {
			t.Errorf("among all filters %q has %q: %v", c.name, c.filter, got)
		}
	}
}

func TestSubscribeReplaces(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"a", "a/+", "$share/g/a", "$share/g/a/#"} {
		ix := NewIndex[string]()
		if !ix.Subscribe(filter, Subscription[string]{"k", 1, 0}) {
			t.Errorf("%q: the first subscription is not new", filter)
		}
		if ix.Subscribe(filter, Subscription[string]{"k", 2, 1}) {
			t.Errorf("%q: the second subscription is new", filter)
		}
		want := map[string]Subscription[string]{filter + " k": {"k", 2, 1}}
		if got := walkAll(t, ix); !equal(got, want) || ix.Len() != 1 {
			t.Errorf("%q: subscribed %v", filter, got)
		}
		if ix.Unsubscribe(filter, "other") || !ix.Unsubscribe(filter, "k") || ix.Unsubscribe(filter, "k") {
			t.Errorf("%q: wrong answer of Unsubscribe", filter)
		}
		checkEmpty(t, ix)
	}
}

func TestSharedAndPlainSubscriptionsAreApart(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{"a/b", "a/+", "a/#"} {
		ix := NewIndex[string]()
		for _, filter := range []string{rest, "$share/g/" + rest, "$share/h/" + rest} {
			if !ix.Subscribe(filter, Subscription[string]{Key: "k"}) {
				t.Errorf("%q: not new", filter)
			}
		}
		var m Matches[string]
		ix.Match([]byte("a/b"), &m)
		if len(m.Subs) != 1 || len(m.Groups) != 2 {
			t.Fatalf("%q: %d subscriptions, %d groups", rest, len(m.Subs), len(m.Groups))
		}
		if g := m.Groups[0]; g.Name() != "g" || g.Filter() != rest || g.Len() != 1 {
			t.Errorf("group %q on %q has %d members", g.Name(), g.Filter(), g.Len())
		}
		if ix.Unsubscribe("$share/x/"+rest, "k") || !ix.Unsubscribe("$share/g/"+rest, "k") || ix.Len() != 2 {
			t.Errorf("%q: wrong answer of Unsubscribe", rest)
		}
		ix.Unsubscribe(rest, "k")
		m.Reset()
		ix.Match([]byte("a/b"), &m)
		if len(m.Subs) != 0 || len(m.Groups) != 1 || m.Groups[0].Name() != "h" {
			t.Errorf("%q: %d subscriptions, %d groups", rest, len(m.Subs), len(m.Groups))
		}
		ix.Unsubscribe("$share/h/"+rest, "k")
		checkEmpty(t, ix)
	}
}

func TestSharedSubscriptionNeedsNoPrefixInTheName(t *testing.T) {
	t.Parallel()
	ix := NewIndex[int]()
	ix.Subscribe("$share/g/a", Subscription[int]{Key: 1})
	ix.Subscribe("$share/g/#", Subscription[int]{Key: 2})
	for name, want := range map[string]int{"a": 2, "b": 1, "$share/g/a": 0, "$SYS/a": 0} {
		var m Matches[int]
		if ix.Match([]byte(name), &m); len(m.Groups) != want {
			t.Errorf("%q has %d groups, want %d", name, len(m.Groups), want)
		}
	}
}

func TestResetForgetsWhatItHeld(t *testing.T) {
	t.Parallel()
	ix := NewIndex[*int]()
	ix.Subscribe("a", Subscription[*int]{Key: new(int)})
	ix.Subscribe("$share/g/a", Subscription[*int]{Key: new(int)})
	var m Matches[*int]
	ix.Match([]byte("a"), &m)
	m.Reset()
	if len(m.Subs) != 0 || len(m.Groups) != 0 || m.Subs[:1][0].Key != nil || m.Groups[:1][0] != nil {
		t.Errorf("left %v %v", m.Subs[:1], m.Groups[:1])
	}
}

func TestResetFreesALargeStack(t *testing.T) {
	t.Parallel()
	ix := NewIndex[int]()
	slashes := strings.Repeat("/", 2*maxScratch)
	for i := range slashes { // each level leaves a '+' to come back to
		ix.Subscribe(slashes[:i]+"+", Subscription[int]{Key: i})
	}
	ix.Subscribe(slashes+"#", Subscription[int]{Key: -1})
	var m Matches[int]
	ix.Match([]byte(slashes), &m)
	if cap(m.stack) <= maxScratch || len(m.Subs) != 1 {
		t.Errorf("a stack of %d, %d subscriptions", cap(m.stack), len(m.Subs))
	}
	if m.Reset(); m.stack != nil {
		t.Errorf("a stack of %d is left", cap(m.stack))
	}
}

// A model is the index without the index.
type model map[string]map[string]Subscription[string] // by filter, by key

func (m model) subscribe(filter string, s Subscription[string]) bool {
	_, had := m[filter][s.Key]
	if m[filter] == nil {
		m[filter] = map[string]Subscription[string]{}
	}
	m[filter][s.Key] = s
	return !had
}

func (m model) unsubscribe(filter, key string) bool {
	_, had := m[filter][key]
	delete(m[filter], key)
	return had
}

// found returns what Match must find, as text: "key id options", and groups as
// "$share/group/filter: member member".
func (m model) found(name string) []string {
	var list []string
	for filter, subs := range m {
		group, rest, shared := SplitShare(filter)
		if len(subs) == 0 || !Match(rest, name) {
			continue
		}
		var members []string
		for _, s := range subs {
			members = append(members, fmt.Sprint(s))
		}
		slices.Sort(members)
		if shared {
			members = []string{fmt.Sprint(group, " ", rest, members)}
		}
		list = append(list, members...)
	}
	slices.Sort(list)
	return list
}

func indexFound(ix *Index[string], name string) []string {
	var m Matches[string]
	ix.Match([]byte(name), &m)
	var list []string
	for _, s := range m.Subs {
		list = append(list, fmt.Sprint(s))
	}
	for _, g := range m.Groups {
		var members []string
		for _, s := range g.members() {
			members = append(members, fmt.Sprint(s))
		}
		slices.Sort(members)
		list = append(list, fmt.Sprint(g.Name(), " ", g.Filter(), members))
	}
	slices.Sort(list)
	return list
}

// randomOp is a random change of the index and its model alike.
func randomOp(t *testing.T, r *rand.Rand, ix *Index[string], m model, prefix string, shrink bool) {
	t.Helper()
	filter := prefix + randomFilter(r)
	if r.IntN(3) == 0 {
		filter = prefix + "wide/" + fmt.Sprint(r.IntN(20)) + "/" + randomFilter(r)
	}
	if r.IntN(3) == 0 {
		filter = fmt.Sprint("$share/g", r.IntN(3), "/", filter)
	}
	key := fmt.Sprint(prefix, "k", r.IntN(3))
	if r.IntN(4) == 0 {
		filter, key = prefix+"crowd/+", fmt.Sprint(prefix, "k", r.IntN(100))
	}
	if r.IntN(10) < 3 || shrink && r.IntN(10) < 7 {
		if got, want := ix.Unsubscribe(filter, key), m.unsubscribe(filter, key); got != want {
			t.Errorf("Unsubscribe(%q, %q) = %v", filter, key, got)
		}
		return
	}
	s := Subscription[string]{key, r.Uint32N(3), byte(r.IntN(3))}
	if got, want := ix.Subscribe(filter, s), m.subscribe(filter, s); got != want {
		t.Errorf("Subscribe(%q, %v) = %v", filter, s, got)
	}
}

// TestIndexAgreesWithMatch changes an index at random and compares every answer
// with a plain map and with Match.
func TestIndexAgreesWithMatch(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	ix, m := NewIndex[string](), model{}
	for step := range 8000 {
		randomOp(t, r, ix, m, "", step/1000%2 == 1)
		if step%50 == 0 {
			for _, name := range []string{randomName(r), "crowd/x", fmt.Sprint("wide/", r.IntN(20), "/", randomName(r))} {
				if got, want := indexFound(ix, name), m.found(name); !slices.Equal(got, want) {
					t.Fatalf("step %d: %q has\n%q, want\n%q", step, name, got, want)
				}
			}
		}
		if step%1000 == 0 {
			checkModel(t, ix, m)
		}
	}
	checkModel(t, ix, m)
	for filter, subs := range m {
		for key := range subs {
			if !ix.Unsubscribe(filter, key) {
				t.Errorf("Unsubscribe(%q, %q) found nothing", filter, key)
			}
		}
	}
	checkEmpty(t, ix)
}

// checkModel compares everything that Walk sees.
func checkModel(t *testing.T, ix *Index[string], m model) {
	t.Helper()
	want := map[string]Subscription[string]{}
	for filter, subs := range m {
		for key, s := range subs {
			want[filter+" "+key] = s
		}
	}
	for filter, subs := range m {
		for key, s := range subs {
			if got, ok := ix.Get(filter, key); !ok || got != s {
				t.Fatalf("Get(%q, %q) is %v, %v, want %v", filter, key, got, ok, s)
			}
		}
		if s, ok := ix.Get(filter, "nobody"); ok {
			t.Fatalf("Get(%q, nobody) is %v", filter, s)
		}
	}
	if got := walkAll(t, ix); !equal(got, want) || ix.Len() != len(want) {
		t.Fatalf("%d subscriptions, Len %d, want %d", len(got), ix.Len(), len(want))
	}
}

// TestIndexConcurrently lets writers change parts of their own while readers
// match, and checks the parts afterwards, and what nobody changes all the time.
func TestIndexConcurrently(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	ix := NewIndex[string]()
	stay := []string{"stay/a", "stay/+", "stay/#", "#", "+/a", "$share/g/stay/a", "$share/g/+/+"}
	for _, filter := range stay {
		ix.Subscribe(filter, Subscription[string]{Key: "stay"})
	}
	models := make([]model, 4)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range models {
		models[w] = model{}
		r := rand.New(rand.NewPCG(seed, uint64(w)))
		writers.Go(func() {
			for step := range 1000 {
				randomOp(t, r, ix, models[w], fmt.Sprint("w", w, "/"), step/250%2 == 1)
			}
		})
		readers.Go(func() { readWhileChanging(t, ix, done, w) })
	}
	writers.Wait()
	close(done)
	readers.Wait()
	whole := model{}
	for _, filter := range stay {
		whole.subscribe(filter, Subscription[string]{Key: "stay"})
	}
	for _, m := range models {
		maps.Copy(whole, m)
	}
	checkModel(t, ix, whole)
}

func readWhileChanging(t *testing.T, ix *Index[string], done <-chan struct{}, w int) {
	var m Matches[string]
	r := rand.New(rand.NewPCG(0, uint64(w)))
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		m.Reset()
		ix.Match([]byte("stay/a"), &m)
		if len(m.Subs) != 5 || len(m.Groups) != 2 {
			t.Errorf("%d subscriptions and %d groups stay, want 5 and 2", len(m.Subs), len(m.Groups))
			return
		}
		m.Reset()
		ix.Match(fmt.Append(nil, "w", w, "/", randomName(r)), &m)
		for _, g := range m.Groups {
			g.Pick(func(s Subscription[string]) bool { return s.ID == 1 })
		}
		if i%1000 == 0 {
			ix.Walk(func(filter string, s Subscription[string]) bool { return s.Key != "" && filter != "" })
		}
	}
}

func TestIndexReturnsMemory(t *testing.T) {
	t.Parallel()
	ix := NewIndex[int]()
	var filters []string
	for i := range 10_000 {
		filters = append(filters, fmt.Sprint("exact/", i), fmt.Sprint("wild/", i, "/+"), fmt.Sprint("$share/g/", i, "/#"))
	}
	for i, filter := range filters {
		ix.Subscribe(filter, Subscription[int]{Key: i})
	}
	if n := countNodes(ix); n < 30_000 {
		t.Errorf("%d nodes for 20000 wildcard filters", n)
	}
	for _, i := range rand.Perm(len(filters)) {
		ix.Unsubscribe(filters[i], i)
		if ix.Len() == len(filters)/100 {
			for j := range ix.exact {
				if tab := &ix.exact[j].filters; tab.peak >= minShrink && tab.peak > 5*len(tab.m)+minShrink {
					t.Errorf("a shard of %d filters has memory for %d", len(tab.m), tab.peak)
				}
			}
		}
	}
	checkEmpty(t, ix)
}

func TestManySubscribersOnOneFilter(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"a", "+", "$share/g/a"} {
		ix := NewIndex[int]()
		for i := range 20_000 {
			ix.Subscribe(filter, Subscription[int]{Key: i, ID: uint32(i)})
		}
		for _, i := range rand.Perm(20_000) {
			if i >= 10 && !ix.Unsubscribe(filter, i) {
				t.Fatalf("%q: %d is not subscribed", filter, i)
			}
		}
		got := map[int]uint32{}
		ix.Walk(func(_ string, s Subscription[int]) bool { got[s.Key] = s.ID; return true })
		for i := range 10 {
			if id, ok := got[i]; !ok || id != uint32(i) || len(got) != 10 {
				t.Errorf("%q: %v are left", filter, got)
			}
			ix.Unsubscribe(filter, i)
		}
		checkEmpty(t, ix)
	}
}

func TestManyGroupsOnOneFilter(t *testing.T) {
	t.Parallel()
	ix := NewIndex[int]()
	for i := range 5000 {
		ix.Subscribe(fmt.Sprintf("$share/%d/a", i), Subscription[int]{Key: 1})
	}
	var m Matches[int]
	if ix.Match([]byte("a"), &m); len(m.Groups) != 5000 {
		t.Errorf("%d groups, want 5000", len(m.Groups))
	}
	for _, i := range rand.Perm(5000) {
		ix.Unsubscribe(fmt.Sprintf("$share/%d/a", i), 1)
	}
	checkEmpty(t, ix)
}

func TestIndexWithManyLevels(t *testing.T) {
	t.Parallel()
	slashes := strings.Repeat("/", 65535)
	filters := []string{
		slashes, "#", "/#", slashes[:65534] + "+", slashes[:65533] + "/#",
		strings.Repeat("+/", 32767), strings.Repeat("+/", 32767) + "#", "$share/g/" + slashes[:65000] + "#",
	}
	ix := NewIndex[int]()
	for i, filter := range filters {
		if !ix.Subscribe(filter, Subscription[int]{Key: i}) {
			t.Errorf("filter %d is not new", i)
		}
	}
	var m Matches[int]
	ix.Match([]byte(slashes), &m)
	var keys []int
	for _, s := range m.Subs {
		keys = append(keys, s.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []int{0, 1, 2, 4, 6}) || len(m.Groups) != 1 {
		t.Errorf("found %v and %d groups", keys, len(m.Groups))
	}
	seen := map[string]bool{}
	ix.Walk(func(filter string, _ Subscription[int]) bool { seen[filter] = true; return true })
	for i, filter := range filters {
		if !seen[filter] {
			t.Errorf("Walk does not see filter %d", i)
		}
		ix.Unsubscribe(filter, i)
	}
	checkEmpty(t, ix)
}

func TestIndexKeepsNoLongFilterForAShortLevel(t *testing.T) {
	t.Parallel()
	filter := "a/" + strings.Repeat("x", 60_000) + "/+"
	if level := ownLevel(filter[:1], filter); level != "a" {
		t.Errorf("level %q", level)
	}
	ix := NewIndex[int]()
	ix.Subscribe(filter, Subscription[int]{Key: 1})
	ix.Subscribe("a/+", Subscription[int]{Key: 1})
	ix.Unsubscribe(filter, 1)
	if n := countNodes(ix); n != 2 {
		t.Errorf("%d nodes are left, want 2", n)
	}
}

func TestWalkStopsWhenTold(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"a", "+"} {
		ix := NewIndex[int]()
		for i := range 10 {
			ix.Subscribe(filter, Subscription[int]{Key: i})
		}
		calls := 0
		ix.Walk(func(string, Subscription[int]) bool { calls++; return calls < 3 })
		if calls != 3 {
			t.Errorf("%q: %d calls, want 3", filter, calls)
		}
	}
}

func TestIndexDoesNotPanicOnInvalidInput(t *testing.T) {
	t.Parallel()
	ix := NewIndex[int]()
	filters := []string{"", "a+", "#/a", "a/#/b", "+#", "$share/", "$share/g", "$share//a", "$share/g/", "$share/+/a", "\x00", "\xff/+"}
	for i, filter := range filters {
		ix.Subscribe(filter, Subscription[int]{Key: i})
	}
	var m Matches[int]
	for _, name := range append(filters, "a", "#/#", "a/#") {
		ix.Match([]byte(name), &m)
	}
	if ix.Len() != len(filters) {
		t.Errorf("%d subscriptions, want %d", ix.Len(), len(filters))
	}
	for i, filter := range filters {
		ix.Unsubscribe(filter, i)
	}
	checkEmpty(t, ix)
}

func TestMatchDoesNotAllocate(t *testing.T) {
	ix := NewIndex[int]()
	for i, filter := range []string{"a/b/c", "+/b/#", "a/+/c", "#", "+/+/+", "$share/g/a/#"} {
		ix.Subscribe(filter, Subscription[int]{Key: i})
		ix.Subscribe(filter, Subscription[int]{Key: i + 100})
	}
	for i := range 2 * maxList { // a table of children, too
		ix.Subscribe(fmt.Sprint(i, "/+"), Subscription[int]{Key: i})
	}
	name := []byte("a/b/c")
	var m Matches[int]
	ix.Match(name, &m)
	found := len(m.Subs)
	n := testing.AllocsPerRun(100, func() {
		m.Reset()
		ix.Match(name, &m)
		for _, g := range m.Groups {
			g.Pick(func(Subscription[int]) bool { return true })
		}
	})
	if n != 0 || len(m.Subs) != found || found != 10 || len(m.Groups) != 1 {
		t.Errorf("%v allocations, want 0; %d subscriptions, %d groups", n, len(m.Subs), len(m.Groups))
	}
}

func matchSubs[K comparable](ix *Index[K], name string) []Subscription[K] {
	var m Matches[K]
	ix.Match([]byte(name), &m)
	return m.Subs
}

func walkAll(t *testing.T, ix *Index[string]) map[string]Subscription[string] {
	t.Helper()
	all := map[string]Subscription[string]{}
	ix.Walk(func(filter string, s Subscription[string]) bool {
		if _, twice := all[filter+" "+s.Key]; twice {
			t.Errorf("Walk sees %q of %q twice", filter, s.Key)
		}
		all[filter+" "+s.Key] = s
		return true
	})
	return all
}

func equal(a, b map[string]Subscription[string]) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// countNodes returns the number of trie nodes, without the root.
func countNodes[K comparable](ix *Index[K]) int {
	n := -1
	for stack := []*node[K]{&ix.wild.root}; len(stack) > 0; n++ {
		x := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if x.plus != nil {
			stack = append(stack, x.plus)
		}
		for k := x.kid; k != nil; k = k.next {
			stack = append(stack, k)
		}
		if x.many != nil {
			for _, k := range x.many.m {
				stack = append(stack, k)
			}
		}
	}
	return n
}

// checkEmpty checks that nothing is left of what an index had.
func checkEmpty[K comparable](t *testing.T, ix *Index[K]) {
	t.Helper()
	if ix.Len() != 0 || ix.nWild.Load() != 0 {
		t.Errorf("Len %d, %d with wildcards", ix.Len(), ix.nWild.Load())
	}
	if n := countNodes(ix); n != 0 || !ix.wild.root.empty() {
		t.Errorf("%d nodes are left", n)
	}
	for i := range ix.exact {
		if ix.exact[i].filters.m != nil {
			t.Errorf("shard %d has a map for %d filters", i, len(ix.exact[i].filters.m))
		}
	}
}
