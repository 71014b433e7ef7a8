package broker_test

import (
	"bytes"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/illegal"
	"github.com/uniomq/unio/mqtt"
)

// ownGoroutines counts the goroutines that run code of this package's. The runtime has others, which come and go.
func ownGoroutines() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("unio/broker.(")) {
			n++
		}
	}
	return n
}

// TestIllegalPackets plays the catalogue, one case at a time and then many at once. Nothing may be left over. That nothing panics
// is what serve looks for.
func TestIllegalPackets(t *testing.T) {
	for name, v := range map[string]mqtt.Version{"3.1": mqtt.V31, "3.1.1": mqtt.V311, "5.0": mqtt.V5} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, l := serve(t, broker.Options{})
				synctest.Wait()
				goroutines := ownGoroutines()
				for _, workers := range []int{1, 16} {
					if err := illegal.Play(l.Dial, illegal.Cases(v), workers); err != nil {
						t.Errorf("%d at a time: %v", workers, err)
					}
					synctest.Wait()
					n := b.Stats()
					if left := n.Connections + n.Unaccepted + n.Sessions + n.Subscriptions + n.SharedSubscriptions + n.Retained; left != 0 {
						t.Errorf("%d at a time: left over: %+v", workers, n)
					}
					if n := ownGoroutines(); n > goroutines { // fewer: of a test before this one
						t.Errorf("%d at a time: %d goroutines, %d before", workers, n, goroutines)
					}
				}
			})
		})
	}
}
