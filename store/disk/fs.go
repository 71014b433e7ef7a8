package disk

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// syncFS counts the syncs of the log, and leaves them to an interval or to the system if the options say so. Writing still
// reaches the system before a commit is done, so that only the machine's end can lose it, not the process's. Tables
// and the list of files are always synced: what they replace in the log is deleted.
type syncFS struct {
	vfs.FS
	now   bool
	syncs atomic.Int64

	mu   sync.Mutex
	late map[*logFile]struct{} // written since they were synced
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

func (fs *syncFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !isLog(name) {
		return f, err
	}
	return &logFile{File: f, fs: fs}, nil
}

// Create implements vfs.FS.
func (fs *syncFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return fs.wrap(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (fs *syncFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, c)
	return fs.wrap(newname, f, err)
}

// Unwrap implements vfs.FS.
func (fs *syncFS) Unwrap() vfs.FS { return fs.FS }

// logFile is a file of the log.
type logFile struct {
	vfs.File
	fs *syncFS
}

// Sync implements vfs.File.
func (f *logFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *logFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *logFile) sync(now func() error) error {
	if f.fs.now {
		f.fs.syncs.Add(1)
		return now()
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.late == nil {
		f.fs.late = make(map[*logFile]struct{})
	}
	f.fs.late[f] = struct{}{}
	return nil
}

// Close implements vfs.File. A file that ends is complete, and synced once.
func (f *logFile) Close() error {
	f.fs.mu.Lock()
	_, late := f.fs.late[f]
	delete(f.fs.late, f)
	f.fs.mu.Unlock()
	if late {
		f.fs.syncs.Add(1)
		if err := f.File.SyncData(); err != nil {
			return err
		}
	}
	return f.File.Close()
}

// syncLate syncs what was left for later.
func (fs *syncFS) syncLate() error {
	fs.mu.Lock()
	defer fs.mu.Unlock() // so that no file is closed meanwhile
	for f := range fs.late {
		fs.syncs.Add(1)
		if err := f.File.SyncData(); err != nil {
			return err
		}
		delete(fs.late, f)
	}
	return nil
}

// Sync forces everything that was written to the disk, whatever Options.Sync says.
func (s *Store) Sync() error {
	if err := s.failed(); err != nil {
		return err
	}
	err := s.db.LogData(nil, pebble.Sync) // behind all that was written
	if err == nil {
		err = s.fs.syncLate()
	}
	s.fail(err)
	return err
}

// watch looks after what comes with time: the space that is left, and late syncs.
func (s *Store) watch() {
	space := time.NewTicker(time.Second)
	defer space.Stop()
	var late <-chan time.Time
	if s.o.Sync == SyncInterval && s.o.Interval > 0 {
		t := time.NewTicker(s.o.Interval)
		defer t.Stop()
		late = t.C
	}
	for {
		select {
		case <-space.C:
			s.checkSpace()
			if s.lazy.Swap(false) && s.failed() == nil { // so that it reaches the disk some time
				s.fail(s.db.LogData(nil, pebble.Sync))
			}
		case <-late:
			if err := s.fs.syncLate(); err != nil {
				s.fail(err)
			}
		case <-s.stop:
			return
		}
	}
}

// checkSpace compares what is left of the disk with the reserve. It is less easily left than entered, so that a disk on
// the border does not go to and fro.
func (s *Store) checkSpace() {
	u, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return // unknown, as in memory: a write that fails will tell
	}
	full := s.full.Load()
	switch {
	case !full && u.AvailBytes < s.o.Reserve:
		s.full.Store(true)
		s.log.Error(fmt.Sprintf("store: %s: the disk is full, %d bytes are free and %d are needed: what would have to be stored is refused",
			s.dir, u.AvailBytes, s.o.Reserve))
	case full && u.AvailBytes >= s.o.Reserve+s.o.Reserve/4:
		s.full.Store(false)
		s.log.Warn(fmt.Sprintf("store: %s: the disk has room again, %d bytes are free", s.dir, u.AvailBytes))
	}
}
