package disk_test

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
	"github.com/uniomq/unio/store/storetest"
)

// faultyFS passes what is done to a disk in memory through a function that may let it fail.
type faultyFS struct {
	*vfs.MemFS
	onWrite atomic.Pointer[func(storetest.DiskOperation) storetest.Fault]
	free    atomic.Uint64
}

func (fs *faultyFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: fs.free.Load()}, nil
}

func (fs *faultyFS) fault(name string, sync bool) storetest.Fault {
	if fn := fs.onWrite.Load(); fn != nil {
		return (*fn)(storetest.DiskOperation{Name: name, Sync: sync})
	}
	return storetest.Fault{}
}

func (fs *faultyFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: f, fs: fs, name: name}, nil
}

func (fs *faultyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.MemFS.Create(name, c)
	return fs.wrap(name, f, err)
}

func (fs *faultyFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.MemFS.ReuseForWrite(old, name, c)
	return fs.wrap(name, f, err)
}

type faultyFile struct {
	vfs.File
	fs   *faultyFS
	name string
}

func (f *faultyFile) Write(p []byte) (int, error) {
	fault := f.fs.fault(f.name, false)
	if fault.Err == nil {
		return f.File.Write(p)
	}
	n := 0
	if fault.Short {
		n, _ = f.File.Write(p[:len(p)/2])
	}
	return n, fault.Err
}

func (f *faultyFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *faultyFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *faultyFile) sync(sync func() error) error {
	if fault := f.fs.fault(f.name, true); fault.Err != nil {
		return fault.Err
	}
	return sync()
}

// faultyMachine implements storetest.FaultyMachine.
type faultyMachine struct {
	fs     *faultyFS
	failed chan struct{}
	once   *sync.Once
}

func newFaultyMachine() storetest.FaultyMachine { return faultyOn(vfs.NewCrashableMem()) }

func faultyOn(fs *vfs.MemFS) *faultyMachine {
	m := &faultyMachine{fs: &faultyFS{MemFS: fs}, failed: make(chan struct{}), once: new(sync.Once)}
	m.fs.free.Store(1 << 40)
	return m
}

func (m *faultyMachine) TryOpen() (store.Store, error) {
	s, err := disk.Open("store", disk.Options{
		FS: m.fs, Reserve: 64 << 10, Failed: func(error) { m.once.Do(func() { close(m.failed) }) },
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (m *faultyMachine) Open(t *testing.T) store.Store {
	s, err := m.TryOpen()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (m *faultyMachine) Crash(r *rand.Rand) storetest.Machine {
	return faultyOn(m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: r}))
}

func (m *faultyMachine) OnWrite(fn func(storetest.DiskOperation) storetest.Fault) {
	if fn == nil {
		m.fs.onWrite.Store(nil)
		return
	}
	m.fs.onWrite.Store(&fn)
}

func (m *faultyMachine) SetFree(bytes uint64)       { m.fs.free.Store(bytes) }
func (m *faultyMachine) Failed() <-chan struct{}    { return m.failed }
func (m *faultyMachine) IsLog(name string) bool     { return strings.HasSuffix(name, ".log") }
func (m *faultyMachine) Content(name string) []byte { return read(m.fs.MemFS, name) }

func (m *faultyMachine) Files() []string {
	names, err := m.fs.List("store")
	if err != nil {
		panic(err)
	}
	slices.Sort(names) // the numbers in the names grow
	var files []string
	for _, name := range names {
		if name != "LOCK" {
			files = append(files, "store/"+name)
		}
	}
	return files
}

func (m *faultyMachine) With(name string, content []byte) storetest.FaultyMachine {
	fs := m.fs.CrashClone(vfs.CrashCloneCfg{})
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		panic(err)
	}
	return faultyOn(fs)
}

func read(fs vfs.FS, name string) []byte {
	f, err := fs.Open(name)
	if err != nil {
		panic(err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(f)
	if err != nil {
		panic(err)
	}
	return content
}

func TestFaults(t *testing.T) { storetest.RunFaults(t, newFaultyMachine) }

// TestOneProcessForEachFolder opens a store twice.
func TestOneProcessForEachFolder(t *testing.T) {
	dir := t.TempDir()
	s, err := disk.Open(dir, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Open(dir, disk.Options{}); err == nil || !strings.Contains(err.Error(), disk.ErrInUse.Error()) {
		t.Errorf("a second one: %v, want %v", err, disk.ErrInUse)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = disk.Open(dir, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
