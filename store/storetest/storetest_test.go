package storetest_test

import (
	"testing"
	"time"

	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
	"github.com/uniomq/unio/store/storetest"
)

func TestSlowStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		return storetest.NewSlow(memory.New(), func() time.Duration { return 0 })
	})
}
