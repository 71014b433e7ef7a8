package broker

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// checkFilters compares all that a set tells with what is in it.
func checkFilters(t *testing.T, f *filterSet, want map[string]bool) {
	t.Helper()
	shared := 0
	for filter := range want {
		if !f.has(filter) {
			t.Fatalf("%s is not in", filter)
		}
		if !f.any(func(s string) bool { return s == filter }) {
			t.Fatalf("any does not look at %s", filter)
		}
		if strings.HasPrefix(filter, "$share/") {
			shared++
		}
	}
	if n, s := f.count(); n != len(want) || s != shared {
		t.Fatalf("%d filters, %d shared; want %d and %d", n, s, len(want), shared)
	}
	if got := slices.Sorted(slices.Values(f.all())); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Fatalf("%q, want %q", got, slices.Sorted(maps.Keys(want)))
	}
	if f.has("never") || f.any(func(s string) bool { return !want[s] }) {
		t.Fatal("a filter is in that was not put in")
	}
}

// A set becomes a map when it has grown. It tells the same before and after.
func TestFilterSetTellsWhatIsIn(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		var f filterSet
		want := map[string]bool{}
		checkFilters(t, &f, want)
		for range 200 {
			filter := fmt.Sprintf("a/%d", random.IntN(3*fewFilters))
			if random.IntN(3) == 0 {
				filter = "$share/g/" + filter
			}
			switch {
			case !want[filter] || random.IntN(4) == 0: // some are added twice
				f.add(filter)
				want[filter] = true
			default:
				f.remove(filter)
				delete(want, filter)
			}
			checkFilters(t, &f, want)
		}
		if got := slices.Sorted(slices.Values(f.clear())); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Fatalf("clear: %q, want %q", got, slices.Sorted(maps.Keys(want)))
		}
		checkFilters(t, &f, nil)
	}
}

func TestFilterSetTakesAFilterOnceOnBothSidesOfItsLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, fewFilters, fewFilters + 1, 3 * fewFilters} {
		var f filterSet
		want := map[string]bool{}
		for range 2 {
			for i := range n {
				filter := fmt.Sprintf("$share/g/%d", i)
				f.add(filter)
				want[filter] = true
			}
		}
		checkFilters(t, &f, want)
		if few := f.many == nil; few != (n <= fewFilters) {
			t.Errorf("%d filters: in a slice is %v", n, few)
		}
		for filter := range want {
			f.remove(filter)
		}
		checkFilters(t, &f, nil)
	}
}
