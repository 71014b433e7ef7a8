// Package mosqlog writes log lines as Mosquitto does, so that what reads the log of
// an existing installation reads Unio's as well:
//
//	1700000000: New client connected from 127.0.0.1:5555 as sensor (p5, c0, k42, u'bob').
//
// [Handler] is a slog.Handler: it chooses by log type, formats the time and writes
// one line per record. [Events] makes the lines that report what the engine does.
// The package opens no files and starts no goroutines.
package mosqlog

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/uniomq/unio/config"
)

// The levels of records, by the log types of Mosquitto. Those that slog has, too, are
// slog's.
const (
	LevelDebug       = slog.LevelDebug
	LevelSubscribe   = slog.Level(-2)
	LevelUnsubscribe = slog.Level(-1)
	LevelInformation = slog.LevelInfo
	LevelNotice      = slog.Level(2)
	LevelWarning     = slog.LevelWarn
	LevelError       = slog.LevelError
)

// logType returns the log type of a level.
func logType(level slog.Level) config.LogType {
	switch {
	case level >= LevelError:
		return config.LogError
	case level >= LevelWarning:
		return config.LogWarning
	case level >= LevelNotice:
		return config.LogNotice
	case level >= LevelInformation:
		return config.LogInformation
	case level == LevelUnsubscribe:
		return config.LogUnsubscribe
	case level == LevelSubscribe:
		return config.LogSubscribe
	}
	return config.LogDebug
}

// Handler writes records as lines. It is safe for use by several goroutines; each
// line is one Write.
type Handler struct {
	log    config.Log // types and timestamp; not the destinations
	out    *output
	attrs  string // of WithAttrs, as they are written
	prefix string // of WithGroup, before the keys of attributes
}

// output is what all Handlers that come from one share.
type output struct {
	mu   sync.Mutex
	w    io.Writer
	line []byte // the memory of the last line
}

var _ slog.Handler = (*Handler)(nil)

// New returns a handler that writes to w what log chooses; the destinations in log
// are not used.
func New(w io.Writer, log config.Log) *Handler {
	return &Handler{log: log, out: &output{w: w}}
}

// Enabled reports whether the log type of a level is chosen.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return h.log.Types&logType(level) != 0
}

// Handle writes one line: the time, the message, the attributes. Errors and warnings
// say that they are; control characters, which a client could send to forge
// lines, are escaped.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	line := h.out.line[:0]
	if h.log.Timestamp && !r.Time.IsZero() {
		line = appendTime(line, r.Time, h.log.TimestampFormat)
		line = append(line, ": "...)
	}
	switch {
	case r.Level >= LevelError:
		line = append(line, "Error: "...)
	case r.Level >= LevelWarning:
		line = append(line, "Warning: "...)
	}
	line = appendMessage(line, r.Message)
	line = append(line, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		line = appendAttr(line, h.prefix, a)
		return true
	})
	line = append(line, '\n')
	h.out.line = line
	if cap(line) > maxKept {
		h.out.line = nil
	}
	_, err := h.out.w.Write(line)
	return err
}

// maxKept is the longest line whose memory is used again.
const maxKept = 64 << 10

// WithAttrs returns a handler that writes the attributes in each line.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	line := []byte(h.attrs)
	for _, a := range attrs {
		line = appendAttr(line, h.prefix, a)
	}
	with.attrs = string(line)
	return &with
}

// WithGroup returns a handler that writes the name before the keys of attributes.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}

// appendTime appends the time in a format of strftime(3), or as seconds since 1970.
func appendTime(line []byte, t time.Time, format string) []byte {
	if format == "" {
		return strconv.AppendInt(line, t.Unix(), 10)
	}
	return appendStrftime(line, t, format)
}

// appendAttr appends " key=value", and each attribute of a group so.
func appendAttr(line []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, in := range v.Group() {
			line = appendAttr(line, prefix, in)
		}
		return line
	}
	if a.Equal(slog.Attr{}) {
		return line
	}
	line = append(line, ' ')
	line = appendClean(line, prefix+a.Key)
	line = append(line, '=')
	return strconv.AppendQuote(line, v.String())
}
