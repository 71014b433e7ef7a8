package disk_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
	"github.com/uniomq/unio/store/storetest"
)

func open(t *testing.T, fs vfs.FS) *disk.Store {
	t.Helper()
	s, err := disk.Open("store", disk.Options{FS: fs, Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, vfs.NewMem()) })
}

// machine is one whose disk lies in memory, and forgets what was not synced.
type machine struct{ fs *vfs.MemFS }

func newMachine() storetest.Machine { return machine{fs: vfs.NewCrashableMem()} }

func (m machine) Open(t *testing.T) store.Store { return open(t, m.fs) }

func (m machine) Crash(r *rand.Rand) storetest.Machine {
	return machine{fs: m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: r})}
}

func TestPersistent(t *testing.T) { storetest.RunPersistent(t, newMachine) }
