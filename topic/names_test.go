package topic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestNamesMatch(t *testing.T) {
	t.Parallel()
	for _, c := range matchCases {
		var names Names[string]
		names.Set(c.name, c.name)
		if got := len(collectNames(&names, c.filter)) == 1; got != c.want {
			t.Errorf("%q finds %q: %v", c.filter, c.name, got)
		}
	}
	var names Names[string]
	for _, c := range matchCases {
		names.Set(c.name, c.name)
	}
	for _, c := range matchCases {
		if got := slices.Contains(collectNames(&names, c.filter), c.name); got != c.want {
			t.Errorf("among all names %q finds %q: %v", c.filter, c.name, got)
		}
	}
}

func TestNamesSetGetDelete(t *testing.T) {
	t.Parallel()
	var names Names[int]
	if _, ok := names.Delete("a"); ok || names.Len() != 0 {
		t.Error("an empty Names has a name")
	}
	if old, replaced := names.Set("a", 1); replaced || old != 0 {
		t.Errorf("first Set = %d, %v", old, replaced)
	}
	if old, replaced := names.Set("a", 2); !replaced || old != 1 {
		t.Errorf("second Set = %d, %v", old, replaced)
	}
	if v, ok := names.Get("a"); !ok || v != 2 {
		t.Errorf("Get = %d, %v", v, ok)
	}
	if _, ok := names.Get("a/"); ok {
		t.Error("a name that was not set was found")
	}
	if v, ok := names.Delete("a"); !ok || v != 2 || names.Len() != 0 {
		t.Errorf("Delete = %d, %v, Len %d", v, ok, names.Len())
	}
}

func TestNamesParentsComeBeforeChildren(t *testing.T) {
	t.Parallel()
	want := []string{"a", "a/", "a/b", "a/b/c", "a!", "a-b", "a-b/c", "a0", "b/c"}
	var names Names[string]
	for _, i := range rand.Perm(len(want)) {
		names.Set(want[i], want[i])
	}
	if got := collectNames(&names, "#"); !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
}

func TestNamesMatchStopsWhenTold(t *testing.T) {
	t.Parallel()
	names := numbered(1000)
	for _, filter := range []string{"#", "n/+", "n/1"} {
		calls := 0
		names.Match(filter, func(string) bool { calls++; return false })
		if calls != 1 {
			t.Errorf("%q: %d calls, want 1", filter, calls)
		}
	}
}

func TestNamesMayChangeDuringMatch(t *testing.T) {
	t.Parallel()
	names := numbered(2000)
	seen := 0
	names.Match("n/+", func(v string) bool {
		seen++
		names.Delete(v)
		names.Set(v+"/below", v)
		return true
	})
	if seen != 2000 || names.Len() != 2000 || len(collectNames(names, "n/+/below")) != 2000 {
		t.Errorf("saw %d names, %d are left", seen, names.Len())
	}
}

func TestNamesMatchSkipsMoreThanItHoldsTheLockFor(t *testing.T) {
	t.Parallel()
	var names Names[string]
	for i := range 3 * maxSteps {
		for _, level := range []string{"", "/x", "/x/y"} {
			name := fmt.Sprintf("n/%06d%s", i, level)
			names.Set(name, name)
		}
	}
	names.Set("n/009999/x/z", "found")
	names.Set("n/zzz/x/z", "found too")
	if got := collectNames(&names, "+/+/+/z"); !slices.Equal(got, []string{"found", "found too"}) {
		t.Errorf("found %q", got)
	}
	names.Delete("n/zzz/x/z")
	if got := collectNames(&names, "+/+/+/z"); !slices.Equal(got, []string{"found"}) {
		t.Errorf("found %q", got)
	}
}

// TestNamesAgreeWithMatch changes names at random and compares every answer with a
// map and with Match.
func TestNamesAgreeWithMatch(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var names Names[string]
	model := map[string]string{}
	for step := range 30_000 {
		// Phases of growth and of decline, through all sizes.
		name := randomName(r) + []string{"", fmt.Sprint("/", r.IntN(300))}[r.IntN(2)]
		if r.IntN(10) < 2+6*(step/3000%2) {
			old, ok := names.Delete(name)
			if want, had := model[name]; ok != had || old != want {
				t.Fatalf("Delete(%q) = %q, %v", name, old, ok)
			}
			delete(model, name)
		} else {
			old, ok := names.Set(name, name)
			if want, had := model[name]; ok != had || old != want {
				t.Fatalf("Set(%q) = %q, %v", name, old, ok)
			}
			model[name] = name
		}
		if names.Len() != len(model) {
			t.Fatalf("Len %d, want %d", names.Len(), len(model))
		}
		if step%100 == 0 {
			checkNames(t, &names, model, randomFilter(r))
			checkBlocks(t, &names)
		}
	}
}

func checkNames(t *testing.T, names *Names[string], model map[string]string, filter string) {
	t.Helper()
	var want []string
	for name := range model {
		if Match(filter, name) {
			want = append(want, name)
		}
	}
	slices.SortFunc(want, func(a, b string) int { return compare(a, b) })
	if got := collectNames(names, filter); !slices.Equal(got, want) {
		t.Fatalf("%q finds %d names, want %d", filter, len(got), len(want))
	}
}

// checkBlocks checks what insert and remove must keep true.
func checkBlocks[V any](t *testing.T, names *Names[V]) {
	t.Helper()
	n, last := 0, ""
	for i, b := range names.blocks {
		if len(b.items) == 0 || len(b.items) > maxBlock || b.first != b.items[0].name {
			t.Fatalf("block %d has %d items and begins with %q", i, len(b.items), b.first)
		}
		for _, it := range b.items {
			if n > 0 && compare(last, it.name) >= 0 {
				t.Fatalf("%q comes before %q", last, it.name)
			}
			n, last = n+1, it.name
		}
	}
	if n != names.n {
		t.Fatalf("%d names, want %d", n, names.n)
	}
}

func TestNamesReturnMemory(t *testing.T) {
	t.Parallel()
	names := numbered(20_000)
	full := len(names.blocks)
	for _, i := range rand.Perm(20_000) {
		names.Delete(fmt.Sprint("n/", i))
		if names.n == 1000 && (len(names.blocks) > full/4 || cap(names.blocks) > full) {
			t.Errorf("1000 of 20000 names take %d of %d blocks", len(names.blocks), full)
		}
	}
	if names.n != 0 || names.blocks != nil {
		t.Errorf("%d names and %d blocks are left", names.n, len(names.blocks))
	}
}

func TestNamesWithManyLevels(t *testing.T) {
	t.Parallel()
	var names Names[int]
	for n := 65535; n > 0; n -= 1000 {
		names.Set(strings.Repeat("/", n), n)
	}
	var got []int
	names.Match("/#", func(n int) bool { got = append(got, n); return true })
	if len(got) != 66 || !slices.IsSorted(got) {
		t.Errorf("found %d", got)
	}
	got = nil
	names.Match(strings.Repeat("+/", 32767)+"#", func(n int) bool { got = append(got, n); return true })
	if len(got) != 33 || got[0] != 33535 {
		t.Errorf("found %d", got)
	}
}

func TestNamesConcurrently(t *testing.T) {
	t.Parallel()
	names := numbered(1000) // these stay
	var wg sync.WaitGroup
	for w := range 4 {
		r := rand.New(rand.NewPCG(uint64(w), 0))
		wg.Go(func() {
			for range 5000 {
				name := fmt.Sprint("n/", 1000+r.IntN(1000), "/", w)
				names.Set(name, name)
				names.Delete(fmt.Sprint("n/", 1000+r.IntN(1000), "/", w))
			}
		})
		wg.Go(func() {
			for range 20 {
				if n := len(collectNames(names, "n/+")); n != 1000 {
					t.Errorf("found %d of the names that stay, want 1000", n)
				}
			}
		})
	}
	wg.Wait()
	checkBlocks(t, names)
}

func TestCompareOrdersLevels(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		a, b := randomName(r)+randomName(r), randomName(r)+randomName(r)
		want := slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
		if got := compare(a, b); sign(got) != want || sign(compare(a, []byte(b))) != want {
			t.Fatalf("compare(%q, %q) = %d, want %d", a, b, got, want)
		}
	}
}

func sign(n int) int { return min(max(n, -1), 1) }

func numbered(n int) *Names[string] {
	names := &Names[string]{}
	for _, i := range rand.Perm(n) {
		name := fmt.Sprint("n/", i)
		names.Set(name, name)
	}
	return names
}

func collectNames(names *Names[string], filter string) []string {
	var got []string
	names.Match(filter, func(name string) bool { got = append(got, name); return true })
	return got
}

// TestCursorGoesOnWhereItStopped goes through the names in steps of all sizes, back by one now and then, while names come and go.
func TestCursorGoesOnWhereItStopped(t *testing.T) {
	var names Names[string]
	want := 0
	for i := range 3000 {
		for _, name := range []string{fmt.Sprintf("a/%d/x", i), fmt.Sprintf("a/%d/y", i)} {
			names.Set(name, name)
		}
		want++
	}
	names.Set("$SYS/x", "$SYS/x")
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, filter := range []string{"+/+/x", "a/7/x", "#"} {
		c := NewCursor(filter)
		seen := make(map[string]bool)
		for more := true; more; {
			steps := 1 + rnd.IntN(100)
			allowed := steps
			var found []string
			found, more = names.Next(&c, make([]string, 0, 1+rnd.IntN(10)), &steps)
			if steps < 0 || allowed-steps > 100 {
				t.Fatalf("%d steps of %d are left", steps, allowed)
			}
			for i, name := range found {
				if i > 0 && i == len(found)-1 && rnd.IntN(4) == 0 {
					c.Back(name)
					more = true
					break
				}
				if seen[name] {
					t.Fatalf("%q was found twice", name)
				}
				seen[name] = true
			}
			gone := fmt.Sprintf("a/%d/z", rnd.IntN(3000))
			if _, there := names.Set(gone, gone); there {
				names.Delete(gone)
			}
		}
		steps := 10
		if again, more := names.Next(&c, make([]string, 0, 1), &steps); len(again) > 0 || more {
			t.Errorf("%q finds %v behind its end", filter, again)
		}
		n := 0
		for name := range seen {
			if Match(filter, name) && !strings.HasSuffix(name, "z") {
				n++
			} else if !strings.HasSuffix(name, "z") {
				t.Errorf("%q does not match %q", name, filter)
			}
		}
		if w := map[string]int{"+/+/x": want, "a/7/x": 1, "#": 2 * want}[filter]; n != w {
			t.Errorf("%q found %d names, want %d", filter, n, w)
		}
	}
}
