package topic

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// FuzzIndexUnderChange compares the index with the naive matcher while several goroutines change it. Each owns keys of its
// own, so that it knows what is subscribed; what nobody changes must always be found, and what nobody has, never.
func FuzzIndexUnderChange(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Add([]byte("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"))
	f.Add(slices.Repeat([]byte{0, 64, 1, 65, 130, 7, 200}, 20))
	f.Fuzz(func(t *testing.T, program []byte) {
		const workers = 3
		ix := NewIndex[int]()
		for i, filter := range underChange.filters { // what stays
			ix.Subscribe(filter, Subscription[int]{Key: -i - 1})
		}
		owned := [workers]map[string]bool{}
		stop := make(chan struct{})
		var changing, reading sync.WaitGroup
		for w := range workers {
			owned[w] = map[string]bool{}
			changing.Go(func() { change(t, ix, owned[w], w+1, program) })
		}
		reading.Go(func() {
			for {
				for _, name := range underChange.names {
					checkStaying(t, ix, name)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		changing.Wait()
		close(stop)
		reading.Wait()
		for _, name := range underChange.names {
			checkQuiet(t, ix, owned[:], name)
		}
		for i, filter := range underChange.filters {
			ix.Unsubscribe(filter, -i-1)
			for w := range workers {
				ix.Unsubscribe(filter, w+1)
			}
		}
		checkEmpty(t, ix)
	})
}

// underChange are the filters and names of FuzzIndexUnderChange.
var underChange = struct{ filters, names []string }{
	[]string{"a", "a/b", "a/+", "+/b", "#", "a/#", "+/+/c", "a/b/c", "/", "+", "$SYS/#", "$share/g/a/b", "$share/g/a/+", "$share/h/#", "a//b", "a/+/c"},
	[]string{"a", "a/b", "a/b/c", "/", "$SYS/x", "a//b", "b", "x/y/c", "b/b"},
}

// change subscribes and unsubscribes as the program says, beginning elsewhere for each worker.
func change(t *testing.T, ix *Index[int], owned map[string]bool, key int, program []byte) {
	for i := range program {
		b := program[(i+key*7)%len(program)]
		filter := underChange.filters[int(b)%len(underChange.filters)]
		if b >= 128 {
			if removed := ix.Unsubscribe(filter, key); removed != owned[filter] {
				t.Errorf("unsubscribe %q of %d: %v, want %v", filter, key, removed, owned[filter])
			}
			delete(owned, filter)
			continue
		}
		if added := ix.Subscribe(filter, Subscription[int]{Key: key}); added == owned[filter] {
			t.Errorf("subscribe %q of %d: added is %v", filter, key, added)
		}
		owned[filter] = true
	}
}

// finds says of a filter, shared or not, whether the naive matcher finds it.
func finds(filter, name string) bool {
	_, rest, shared := SplitShare(filter)
	if !shared {
		rest = filter
	}
	return plainMatch(strings.Split(rest, "/"), strings.Split(name, "/"))
}

// checkStaying looks for the subscriptions that nobody changes.
func checkStaying(t *testing.T, ix *Index[int], name string) {
	var m Matches[int]
	ix.Match([]byte(name), &m)
	for i, filter := range underChange.filters {
		if got, want := matchedKey(&m, -i-1), finds(filter, name); got != want {
			t.Errorf("%q has %q: %v, want %v", name, filter, got, want)
		}
	}
}

// checkQuiet compares all that a name matches when nothing changes any more.
func checkQuiet(t *testing.T, ix *Index[int], owned []map[string]bool, name string) {
	var m Matches[int]
	ix.Match([]byte(name), &m)
	var got, want []string
	for _, s := range m.Subs {
		got = append(got, fmt.Sprint(s.Key))
	}
	for _, g := range m.Groups {
		for _, s := range g.members() {
			got = append(got, fmt.Sprint(s.Key))
		}
	}
	for i, filter := range underChange.filters {
		if !finds(filter, name) {
			continue
		}
		want = append(want, fmt.Sprint(-i-1))
		for w := range owned {
			if owned[w][filter] {
				want = append(want, fmt.Sprint(w+1))
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q has %v, want %v", name, got, want)
	}
}
