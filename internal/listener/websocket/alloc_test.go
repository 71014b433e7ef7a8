//go:build !race

package websocket

import (
	"math"
	"testing"
)

// Not under the race detector, which makes sync.Pool forget things at random.
func TestWritingAllocatesNothing(t *testing.T) {
	c, sock, _ := newFake()
	p := make([]byte, 1000)
	if n := testing.AllocsPerRun(1000, func() {
		sock.out.Reset()
		sock.room = math.MaxInt
		if _, err := c.TryWrite(sock, p); err != nil {
			t.Error(err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations per message", n)
	}
}
