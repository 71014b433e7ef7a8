// Package disk is the store that survives: what was committed is there after kill -9 and after a power cut. It keeps its
// state in Pebble, one folder for one process.
//
// # How a commit goes
//
// Commit and Attach only put work into a queue. The committer, one goroutine, takes all that waits there, applies it in order
// to the totals in memory and to one batch, and hands that to Pebble's log. The completer, another one, waits for the
// sync that makes the batch durable, makes its deliveries visible, wakes the owners, and calls Done, in order. While one sync runs the
// next batches gather: one sync serves everybody who waits for it (group commit).
//
// SetSent, Settle and ClearWill ask for no sync of their own. If they are lost, a message is sent once more, with DUP; the
// log is sequential, so that they are lost from its end only. Nor does a transaction that need not survive (store.Tx.Wait).
//
// # What is in memory
//
// A record of each session; its queue's totals once something has happened to it; and of an attached session's queue a window. The rest
// is read when the owner comes near the end of the window, by goroutines of their own. Retained messages pass through at the start.
//
// # What is on the disk
//
// See keys.go. A queue is one key per delivery. It is written once and deleted once, so that most messages of clients that are
// connected never get further than the log and the memory table. A message for several sessions is a body that their entries
// refer to (body.go).
//
// # Besides a running store
//
// Import and Restore make a store, Reader reads one that nobody has open, Backup copies one that is open. A goroutine started by
// ListenForBackups, with one more for each asker, answers AskBackup of another process until Close.
//
// # Failure
//
// When a write or a sync fails, the store has failed for good: whatever waits for it and whatever comes gets the error, because
// nobody can know what the disk holds until it is read again. Options.Failed is told, and should end the process.
// A disk that is nearly full is not a failure: see Full.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/uniomq/unio/store"
)

// ErrInUse says that another process has the folder open.
var ErrInUse = errors.New("the store is in use by another process")

// ErrVersion says that the folder was written by a version that this one does not know.
var ErrVersion = errors.New("the store has a format that this version does not know")

// Sync says when written data is forced to the disk.
type Sync uint8

// The ways of syncing.
const (
	SyncAlways   Sync = iota // before anything is acknowledged
	SyncInterval             // each Options.Interval: a power cut may lose what was acknowledged since
	SyncNever                // when the system pleases: as SyncInterval, mostly some 30 s. kill -9 loses nothing
)

// libraryFormat is the version of Pebble's format for new folders. From WALSyncChunks on the log says what was synced, so that damage
// before that is told from a torn end, and refused. Where syncs are put off it would say what is not true.
func (s Sync) libraryFormat() pebble.FormatMajorVersion {
	if s == SyncAlways {
		return pebble.FormatValueSeparation
	}
	return pebble.FormatColumnarBlocks
}

// Options configure a Store. The zero value is the safest.
type Options struct {
	Sync     Sync
	Interval time.Duration // of SyncInterval
	// Reserve is how many bytes of the disk are to stay free; 64 MiB.
	Reserve uint64
	Log     *slog.Logger // nil: none
	Failed  func(error)  // told once when the store has failed
	FS      vfs.FS       // nil: the system's
}

// Store implements store.Store.
type Store struct {
	o    Options
	dir  string
	fs   *syncFS
	db   *pebble.DB
	lock *pebble.Lock
	log  *slog.Logger

	// The committer owns these.
	byKey   map[string]*session
	byRef   map[store.Ref]*session
	counter uint64 // refs and body numbers given out
	bodies  bodies
	granted uint64 // counter may go up to here without writing it
	scratch [2][]byte

	boxes    table
	wake     func([]any)
	orphaned func(store.Ref, []store.Delivery, func()) // store.Recovery.Orphaned
	work     pipe[work]                                // to the committer
	groups   chan *group                               // to the completer
	reads    pipe[read]                                // to the readers
	garbage  chan struct{}                             // some session has left something behind
	stop     chan struct{}
	stopOnce sync.Once
	tasks    sync.WaitGroup // committer and completer
	helpers  sync.WaitGroup // readers, cleaner, watcher, and who answers those who ask for a backup
	copying  sync.Mutex     // a backup is being made

	lazy    atomic.Bool // something was written and no sync asked for
	full    atomic.Bool
	failure atomic.Pointer[error]
}

var _ store.Store = (*Store)(nil)

const (
	memTableSize = 16 << 20
	cacheSize    = 16 << 20
	reserve      = 64 << 20
	readers      = 2
	pipeline     = 4 // groups that may wait for their syncs at once
	counterBlock = 1 << 20
	format       = 1
)

// Open opens the store in a folder, which is made if there is none. Start must follow.
func Open(dir string, o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Reserve == 0 {
		o.Reserve = reserve
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{
		o: o, dir: dir, log: o.Log, byKey: make(map[string]*session), byRef: make(map[store.Ref]*session), wake: func([]any) {},
		groups: make(chan *group, pipeline), garbage: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	s.fs = &syncFS{FS: o.FS, now: o.Sync == SyncAlways}
	s.boxes.init()
	s.work.init()
	s.reads.init()
	var err error
	s.lock, err = pebble.LockDirectory(dir, s.fs)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w (%w)", dir, ErrInUse, err)
	}
	if err := verify(s.fs, dir); err != nil {
		return nil, fmt.Errorf("store: %s: %w", dir, errors.Join(err, s.lock.Close()))
	}
	cache := pebble.NewCache(cacheSize)
	defer cache.Unref()
	s.db, err = pebble.Open(dir, &pebble.Options{
		FS: s.fs, Lock: s.lock, Cache: cache, Logger: (*logger)(s),
		FormatMajorVersion: o.Sync.libraryFormat(),
		MemTableSize:       memTableSize,
		MaxOpenFiles:       256,
		// Without it Pebble ends the goroutine that reads. It gets an error as well, and what it makes of that is told once.
		EventListener: &pebble.EventListener{DataCorruption: func(i pebble.DataCorruptionInfo) { s.fail(damage(i)) }},
	})
	if err == nil {
		err = s.checkFormat()
	}
	if err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, fmt.Errorf("store: %s: %w", dir, errors.Join(err, s.lock.Close()))
	}
	return s, nil
}

// checkFormat reads the version of the data, or writes it if the folder is new, and the counter.
func (s *Store) checkFormat() error {
	v, err := s.get([]byte{kindFormat})
	if err != nil {
		return err
	}
	if v == nil {
		return s.db.Set([]byte{kindFormat}, []byte{format}, pebble.Sync)
	}
	if len(v) != 1 || v[0] != format {
		return fmt.Errorf("%w: %v", ErrVersion, v)
	}
	n, err := s.get([]byte{kindCounter})
	if err != nil || n == nil {
		return err
	}
	d := decoder{p: n}
	s.counter = d.uint()
	s.granted = s.counter
	return d.err()
}

// get returns a copy of a value, nil if there is none.
func (s *Store) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v = append([]byte{}, v...)
	return v, closer.Close()
}

// Start implements store.Store.
func (s *Store) Start(wake func([]any), r store.Recovery) error {
	s.wake, s.orphaned = wake, r.Orphaned
	if err := s.recover(r); err != nil {
		return fmt.Errorf("store: %s: %w", s.dir, err)
	}
	s.bodies = bodies{count: make(map[uint64]int), counted: s.counter}
	then := s.db.NewSnapshot()
	s.helpers.Go(func() { s.countBodies(then) })
	s.tasks.Add(2)
	go s.commitAll()
	go s.completeAll()
	for range readers {
		s.helpers.Go(s.readAll)
	}
	s.helpers.Go(s.clean)
	s.helpers.Go(s.watch)
	s.garbage <- struct{}{} // from before
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.stopOnce.Do(func() { close(s.stop) })
	s.work.close()
	s.tasks.Wait()
	s.reads.close()
	s.helpers.Wait()
	if err := s.failed(); err != nil {
		return nil // told before; what the library would still write is not to be trusted
	}
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	return errors.Join(db.Close(), s.lock.Close())
}

// fail makes the store fail for good, unless it has before.
func (s *Store) fail(err error) {
	if err == nil || !s.failure.CompareAndSwap(nil, &err) {
		return
	}
	err = fmt.Errorf("store: %s has failed: %w", s.dir, err)
	s.log.Error(err.Error())
	if s.o.Failed != nil {
		go s.o.Failed(err)
	}
}

// failed returns the error that the store has failed with.
func (s *Store) failed() error {
	if p := s.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// Full implements store.Store.
func (s *Store) Full() bool { return s.full.Load() }

// Stats says what the store has done since it was opened.
type Stats struct {
	Syncs        int64  // of the log
	BytesWritten uint64 // to the log and to tables, all rewriting included
	BytesLogged  uint64 // to the log
}

// Stats returns what the store has done.
func (s *Store) Stats() Stats {
	m := s.db.Metrics()
	total := m.Total()
	return Stats{
		Syncs: s.fs.syncs.Load(), BytesLogged: m.WAL.BytesWritten,
		BytesWritten: m.WAL.BytesWritten + total.TableBytesFlushed + total.TableBytesCompacted,
	}
}

// logger is what Pebble tells its troubles to.
type logger Store

func (l *logger) Infof(string, ...any) {}

func (l *logger) Errorf(format string, args ...any) {
	l.log.Warn(fmt.Sprintf("store: "+format, args...))
}

// damage is what Pebble has found to be another file than it has written.
func damage(i pebble.DataCorruptionInfo) error {
	return fmt.Errorf("%w: %s: %w", ErrDamaged, i.Path, i.Details)
}

// Fatalf must not return. It is called when the log or the list of files cannot be written.
func (l *logger) Fatalf(format string, args ...any) {
	(*Store)(l).fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}
