package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/uniomq/unio/internal/budget"
	"github.com/uniomq/unio/internal/files"
	"github.com/uniomq/unio/internal/logqueue"
)

// fileMode lets the owner alone read a file that is made.
const fileMode = 0o600

// maxEvents is how many events are written in one second, and maxEach how many of one kind about one
// client in a minute.
const (
	maxEvents = 500
	maxEach   = 60
)

// closeTimeout is how long Close and Reopen wait for a file that takes nothing.
const closeTimeout = 5 * time.Second

// Log is an audit log. It may be used by many goroutines. Write does not wait for the file.
type Log struct {
	path    string
	failed  func(error)     // told of an event that cannot be written
	queue   *logqueue.Queue // before file
	handler *slog.Logger    // writes to queue
	all     budget.Budget[struct{}]
	each    budget.Budget[kind]

	mu     sync.Mutex // guards what follows; the queue's goroutine alone waits while a file is opened
	file   *os.File
	made   bool // root has made the file
	closed bool
}

// kind is what shares a budget: events of one name about one client, or where there is none, address.
type kind struct{ event, who string }

// Open opens a log to append to. failed is told why an event could not be written.
func Open(path string, failed func(error)) (*Log, error) {
	l := &Log{path: path, failed: failed}
	l.all.Each, l.all.All, l.all.Period = maxEvents, maxEvents, time.Second
	l.each.Each, l.each.All, l.each.Period = maxEach, 60*maxEvents, time.Minute
	if _, err := l.open(); err != nil {
		return nil, err
	}
	l.queue = logqueue.New(sink{l}, l.lost)
	l.handler = slog.New(slog.NewJSONHandler(entry{l.queue}, &slog.HandlerOptions{ReplaceAttr: rename}))
	return l, nil
}

// open opens the file, and returns the one that was open before.
func (l *Log) open() (last *os.File, err error) {
	l.mu.Lock() // before the file is there: who sees it finds in it what happens from then on
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("open the audit log: %w", os.ErrClosed)
	}
	f, made, err := files.Append(l.path, fileMode)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	last, l.file, l.made = l.file, f, made
	return last, nil
}

// Path returns the path of the file.
func (l *Log) Path() string {
	if l == nil {
		return ""
	}
	return l.path
}

// Reopen opens the file anew. On an error the log goes where it went.
func (l *Log) Reopen() error {
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = l.queue.Flush(ctx) // what does not get into the old file goes to the new one
	last, err := l.open()
	if err != nil {
		return err
	}
	_ = l.queue.Flush(ctx) // nobody uses last after that
	if err := last.Close(); err != nil {
		l.fail(fmt.Errorf("close the audit log's former file: %w", err))
	}
	return nil
}

// fail tells of an error.
func (l *Log) fail(err error) {
	if l.failed != nil {
		l.failed(err)
	}
}

// lost counts events that the file did not take, to be told of with the next one.
func (l *Log) lost(events int, _ error) { l.all.Refuse(events) }

// entry puts what a handler writes, a line at a time, into a queue.
type entry struct{ q *logqueue.Queue }

func (e entry) Write(p []byte) (int, error) { return len(p), e.q.WriteLine(slog.LevelInfo, p) }

// sink writes lines to the file, and tells why one could not be written.
type sink struct{ l *Log }

func (s sink) WriteLine(_ slog.Level, line []byte) error {
	s.l.mu.Lock()
	f := s.l.file
	s.l.mu.Unlock()
	_, err := f.Write(line)
	if err != nil {
		s.l.fail(fmt.Errorf("write to the audit log: %w", err))
	}
	return err
}

// rename leaves out the level and calls the message the event.
func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		return slog.Attr{}
	case slog.MessageKey:
		a.Key = "event"
	case slog.TimeKey:
		a.Value = slog.StringValue(a.Value.Time().UTC().Format(time.RFC3339Nano))
	}
	return a
}

// maxText is how much of a text is written, in bytes: names come from clients.
const maxText = 256

// cut shortens a text.
func cut(a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindString && len(a.Value.String()) > maxText {
		return slog.String(a.Key, strings.ToValidUTF8(a.Value.String()[:maxText], "")+"...")
	}
	return a
}

// Write has an event written. Attributes that are empty texts are left out, and long ones are cut; a
// slog.LogValuer is asked only if the event is written. Events of one name about one client, which is
// the attribute client or else address, do not hide those about another one.
func (l *Log) Write(event string, attrs ...slog.Attr) {
	if l == nil {
		return
	}
	now := time.Now()
	ok, hidden := l.each.Take(now, kind{event, about(attrs)})
	if !ok {
		return
	}
	ok, missing := l.all.Take(now, struct{}{})
	if !ok {
		l.each.Refuse(hidden)
		return
	}
	kept := make([]slog.Attr, 0, len(attrs)+1)
	for _, a := range attrs {
		a.Value = a.Value.Resolve()
		if a.Value.Kind() != slog.KindString || a.Value.String() != "" {
			kept = append(kept, cut(a))
		}
	}
	if missing += hidden; missing > 0 {
		kept = append(kept, slog.Int("events_left_out", missing))
	}
	l.handler.LogAttrs(context.Background(), slog.LevelInfo, event, kept...)
}

// about returns whom an event is about: its client, or where it has none, its address.
func about(attrs []slog.Attr) (who string) {
	for _, a := range attrs {
		switch {
		case a.Key == "client" && a.Value.String() != "":
			return a.Value.String()
		case a.Key == "address":
			who = a.Value.String()
		}
	}
	if host, _, err := net.SplitHostPort(who); err == nil {
		return host
	}
	return who
}

// GiveTo makes a file that Open made belong to a user, who is to open it again.
func (l *Log) GiveTo(uid, gid int) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.made {
		return nil
	}
	return l.file.Chown(uid, gid)
}

// Flush waits until the file has what was written before, or until ctx ends.
func (l *Log) Flush(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return l.queue.Flush(ctx)
}

// Close ends the log: what is written after it is lost.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := l.queue.Close(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return err
	}
	l.closed = true
	return errors.Join(err, l.file.Close())
}
