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
	path   string
	failed func(error) // told of an event that cannot be written

	mu      sync.Mutex // guards what follows
	file    *os.File
	queue   *logqueue.Queue // before file
	handler *slog.Logger    // writes to queue
	made    bool            // root has made the file
	all     budget.Budget[struct{}]
	each    budget.Budget[kind]
}

// kind is what shares a budget: events of one name about one client, or where there is none, address.
type kind struct{ event, who string }

// Open opens a log to append to. failed is told why an event could not be written.
func Open(path string, failed func(error)) (*Log, error) {
	l := &Log{path: path, failed: failed}
	l.all.Each, l.all.All, l.all.Period = maxEvents, maxEvents, time.Second
	l.each.Each, l.each.All, l.each.Period = maxEach, 60*maxEvents, time.Minute
	return l, l.Reopen()
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
	l.mu.Lock() // before the file is there: who sees it finds in it what happens from then on
	f, made, err := files.Append(l.path, fileMode)
	if err != nil {
		l.mu.Unlock()
		return fmt.Errorf("open the audit log: %w", err)
	}
	file, queue := l.file, l.queue
	l.file, l.made, l.queue = f, made, logqueue.New(sink{l, f}, l.lost)
	l.handler = slog.New(slog.NewJSONHandler(entry{l.queue}, &slog.HandlerOptions{ReplaceAttr: rename}))
	l.mu.Unlock()
	return l.end(file, queue)
}

// end closes a file behind its queue.
func (l *Log) end(file *os.File, queue *logqueue.Queue) error {
	if file == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(queue.Close(ctx), file.Close())
}

// lost counts events that the file did not take, to be told of with the next one.
func (l *Log) lost(events int, _ error) { l.all.Refuse(events) }

// entry puts what a handler writes, a line at a time, into a queue.
type entry struct{ q *logqueue.Queue }

func (e entry) Write(p []byte) (int, error) { return len(p), e.q.WriteLine(slog.LevelInfo, p) }

// sink writes lines to the file, and tells why one could not be written.
type sink struct {
	l *Log
	f *os.File
}

func (s sink) WriteLine(_ slog.Level, line []byte) error {
	_, err := s.f.Write(line)
	if err != nil && s.l.failed != nil {
		s.l.failed(fmt.Errorf("write to the audit log: %w", err))
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

// Write has an event written. Attributes that are empty texts are left out, and long ones are cut.
// Events of one name about one client, which is the attribute client or else address, do not hide
// those about another one.
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
		if a.Value.Kind() != slog.KindString || a.Value.String() != "" {
			kept = append(kept, cut(a))
		}
	}
	if missing += hidden; missing > 0 {
		kept = append(kept, slog.Int("events_left_out", missing))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.handler.LogAttrs(context.Background(), slog.LevelInfo, event, kept...)
	}
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
	l.mu.Lock()
	q := l.queue
	l.mu.Unlock()
	return q.Flush(ctx)
}

// Close ends the log: what is written after it is lost.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	file := l.file
	l.file = nil
	l.mu.Unlock()
	return l.end(file, l.queue)
}
