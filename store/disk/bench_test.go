package disk_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
	"github.com/uniomq/unio/store/storetest"
)

// BenchmarkCommit is what a commit costs beside the disk, which lies in memory: a real one's sync would hide everything.
func BenchmarkCommit(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) store.Store {
		s, err := disk.Open("store", disk.Options{FS: vfs.NewMem(), Failed: func(err error) { b.Error(err) }})
		if err != nil {
			b.Fatal(err)
		}
		return s
	})
}
