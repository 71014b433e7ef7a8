package budget

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLongKeysAreNotKept: a client id has up to 64 KiB.
func TestLongKeysAreNotKept(t *testing.T) {
	const keys, size = 500, 64 << 10
	b := Budget[string]{Each: 1, All: keys, Period: time.Minute}
	now := time.Now()
	long := strings.Repeat("x", size)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range keys {
		key := long + strconv.Itoa(i)
		if ok, _ := b.Take(now, key); !ok {
			t.Fatalf("key %d is refused", i)
		}
		if ok, _ := b.Take(now, key); ok {
			t.Fatalf("key %d is taken twice", i)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > keys*size/10 {
		t.Errorf("%d keys of %d bytes keep %d bytes", keys, size, kept)
	}
	if ok, refused := b.Take(now.Add(time.Minute), "next"); !ok || refused != 1 {
		t.Errorf("next minute: %v, %d refused", ok, refused)
	}
}
