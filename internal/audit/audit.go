package audit

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/uniomq/unio/internal/files"
)

// fileMode lets the owner alone read a file that is made.
const fileMode = 0o600

// maxEvents is how many events are written in one second.
const maxEvents = 500

// Log is an audit log. It may be used by many goroutines.
type Log struct {
	path   string
	failed func(error) // told of an event that cannot be written

	mu      sync.Mutex // guards what follows; held while an event is written
	file    *os.File
	handler *slog.Logger
	made    bool // root has made the file
	second  int64
	written int // in this second
	missing int
}

// Open opens a log to append to. failed is told, in the goroutine of the event, why one could not be written.
func Open(path string, failed func(error)) (*Log, error) {
	l := &Log{path: path, failed: failed}
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
	defer l.mu.Unlock()
	f, made, err := files.Append(l.path, fileMode)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	old := l.file
	l.file, l.made, l.handler = f, made, slog.New(slog.NewJSONHandler(writer{l, f}, &slog.HandlerOptions{ReplaceAttr: rename}))
	if old != nil {
		return old.Close()
	}
	return nil
}

// writer tells of what could not be written.
type writer struct {
	l *Log
	f *os.File
}

func (w writer) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if err != nil && w.l.failed != nil {
		w.l.failed(fmt.Errorf("write to the audit log: %w", err))
	}
	return n, err
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

// Write writes an event. Attributes that are empty texts are left out, and long ones are cut.
func (l *Log) Write(event string, attrs ...slog.Attr) {
	if l == nil {
		return
	}
	kept := make([]slog.Attr, 0, len(attrs)+1)
	for _, a := range attrs {
		if a.Value.Kind() != slog.KindString || a.Value.String() != "" {
			kept = append(kept, cut(a))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	if now := time.Now().Unix(); now != l.second {
		l.second, l.written = now, 0
	}
	if l.written >= maxEvents {
		l.missing++
		return
	}
	l.written++
	if l.missing > 0 {
		kept = append(kept, slog.Int("events_left_out", l.missing))
		l.missing = 0
	}
	l.handler.LogAttrs(context.Background(), slog.LevelInfo, event, kept...)
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

// Close ends the log: what is written behind it is lost.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
