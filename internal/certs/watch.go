package certs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long files must be left alone before they are read: certificate and key are never replaced at the same time.
	settleTime = 250 * time.Millisecond
	// settleLimit is how long a reload is put off at most.
	settleLimit = 5 * time.Second
)

// Watch reloads a Source when its files change. It watches the folders that the files are in, not the files, because editors and
// Kubernetes replace files instead of writing them.
type Watch struct {
	source  *Source
	watcher *fsnotify.Watcher
	after   func(error)
	settle  time.Duration
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup
	changed chan struct{} // something may have changed
	trouble chan error    // the system has difficulties with watching

	mu    sync.Mutex // guards what follows
	paths paths
}

// Watch begins to watch the files. After each reload that found something else than the last time, it calls after with the result, from
// a goroutine of its own, and never twice at once. An error means that nothing is watched: Reload still works. A Source has one Watch at a
// time; it ends with Close.
func (s *Source) Watch(after func(error)) (*Watch, error) { return s.watchFor(settleTime, after) }

func (s *Source) watchFor(settle time.Duration, after func(error)) (*Watch, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch certificates: %w", err)
	}
	w := &Watch{
		source: s, watcher: watcher, after: after, settle: settle,
		changed: make(chan struct{}, 1), trouble: make(chan error, 1),
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch != nil {
		watcher.Close()
		return nil, errors.New("the certificates are watched already")
	}
	if err := w.follow(s.paths); err != nil {
		watcher.Close()
		return nil, err
	}
	s.watch = w
	w.wg.Go(w.listen)
	w.wg.Go(w.run)
	return w, nil
}

// Close ends the watching. When it returns, after is not being called and will not be called again. It must not be called by after.
func (w *Watch) Close() error {
	w.source.mu.Lock()
	if w.source.watch == w {
		w.source.watch = nil
	}
	w.source.mu.Unlock()
	w.stop()
	err := w.watcher.Close()
	w.wg.Wait()
	return err
}

// follow watches the folders of p, and no others. One that is watched already is added again, for it may be another of the same name.
func (w *Watch) follow(p paths) error {
	w.mu.Lock()
	w.paths = p
	w.mu.Unlock()
	wanted := p.watched()
	for _, old := range w.watcher.WatchList() {
		if !wanted[old] {
			_ = w.watcher.Remove(old)
		}
	}
	var errs []error
	for folder := range wanted {
		if err := w.watcher.Add(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("watch folder %s: %w", folder, err))
		}
	}
	return errors.Join(errs...)
}

// poke makes run look.
func (w *Watch) poke() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// listen takes events. It never waits for anything else, since the system has little room for them.
func (w *Watch) listen() {
	for {
		select {
		case e, ok := <-w.watcher.Events:
			if !ok {
				return
			}
			w.mu.Lock()
			concerns := w.paths.concern(e.Name)
			w.mu.Unlock()
			if concerns {
				w.poke()
			}
		case err, ok := <-w.watcher.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) { // events were lost
				w.poke()
				continue
			}
			select {
			case w.trouble <- fmt.Errorf("watch certificates: %w", err):
			default:
			}
		}
	}
}

// run reloads when the files have settled.
func (w *Watch) run() {
	for {
		select {
		case <-w.ctx.Done():
			return
		case err := <-w.trouble:
			w.after(err)
			continue
		case <-w.changed:
		}
		if !w.settled() {
			return
		}
		if changed, err := w.source.refresh(w); changed || err != nil {
			if w.ctx.Err() != nil {
				return
			}
			w.after(err)
		}
	}
}

// settled waits until nothing has changed for a while; false: the Watch is closed.
func (w *Watch) settled() bool {
	limit := time.NewTimer(settleLimit)
	defer limit.Stop()
	for {
		quiet := time.NewTimer(w.settle)
		select {
		case <-w.ctx.Done():
			quiet.Stop()
			return false
		case <-w.changed:
			quiet.Stop()
		case <-quiet.C:
			return true
		case <-limit.C:
			quiet.Stop()
			return true
		}
	}
}

// refresh is Reload for a Watch: an error that is known already is not told again.
func (s *Source) refresh(w *Watch) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := w.follow(s.paths) // before reading, so that a later change is not missed
	changed, err = s.reload(w.ctx, s.options)
	if !changed {
		err = nil
	}
	return changed, errors.Join(before, w.follow(s.paths), err)
}
