package memory_test

import (
	"testing"

	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
	"github.com/uniomq/unio/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}

func BenchmarkCommit(b *testing.B) {
	storetest.Bench(b, func(*testing.B) store.Store { return memory.New() })
}
