package store_test

import (
	"testing"

	"github.com/uniomq/unio/store"
)

func TestKeysOfSessions(t *testing.T) {
	if key := store.Key("c", ""); key != "c" {
		t.Errorf("without mount point the key of c is %q", key)
	}
	seen := map[string]bool{}
	for _, s := range [][2]string{{"c", ""}, {"c", "a/"}, {"c", "b/"}, {"ca/", ""}, {"", "a/"}, {"c", "a/\x00b/"}} {
		key := store.Key(s[0], s[1])
		if seen[key] {
			t.Errorf("%q is the key of two sessions", key)
		}
		seen[key] = true
		if id, point := store.SplitKey(key); id != s[0] || point != s[1] {
			t.Errorf("%q is of %q and %q, want %q", key, id, point, s)
		}
	}
}
