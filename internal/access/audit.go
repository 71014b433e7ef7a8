package access

import (
	"context"
	"log/slog"
	"sync"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/audit"
	"github.com/uniomq/unio/internal/part"
)

// AuditLog is the part of a server that tells of security: the audit log in force, which a reload may
// replace.
type AuditLog struct {
	log    *slog.Logger
	failed func(error) // told of an event that cannot be written

	// mu guards l, and is held while an event is written: not for what waits for the file.
	mu sync.RWMutex
	l  *audit.Log // nil: none
}

// Prepare implements part.Part. The file in use is opened anew. If that fails, the log goes on in what
// is open: a reload that keeps somebody out must not wait for that.
func (a *AuditLog) Prepare(cfg *config.Config) (part.Prepared, error) {
	if a.path() == cfg.AuditLog {
		return part.Prepared{Use: func() {
			if err := a.Reopen(); err != nil {
				a.log.Error(err.Error() + "; security events go on to the file that is open, even if that has another name now")
			}
		}}, nil
	}
	var next *audit.Log
	if cfg.AuditLog != "" {
		var err error
		if next, err = audit.Open(cfg.AuditLog, a.failed); err != nil {
			return part.Prepared{}, err
		}
	}
	use := func() {
		if err := a.replace(next); err != nil {
			a.log.Error("close the audit log: " + err.Error())
		}
	}
	return part.Prepared{Use: use, Discard: func() { _ = next.Close() }}, nil // nothing was written
}

// Start implements part.Part.
func (*AuditLog) Start() error { return nil }

// Close implements part.Part.
func (a *AuditLog) Close(context.Context) error { return a.replace(nil) }

func (a *AuditLog) path() string { return a.inForce().Path() }

// On reports whether events are written.
func (a *AuditLog) On() bool { return a.inForce() != nil }

// inForce returns the log in force; nil: none.
func (a *AuditLog) inForce() *audit.Log {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.l
}

// Write writes an event, if there is a log.
func (a *AuditLog) Write(event string, attrs ...slog.Attr) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	a.l.Write(event, attrs...)
}

// Reopen opens the file anew, for the program that rotates it.
func (a *AuditLog) Reopen() error { return a.inForce().Reopen() }

// replace replaces the log, and closes what was there.
func (a *AuditLog) replace(l *audit.Log) error {
	a.mu.Lock()
	old := a.l
	a.l = l
	a.mu.Unlock()
	return old.Close()
}

// GiveTo makes a file that was made belong to a user, who is to open it again.
func (a *AuditLog) GiveTo(uid, gid int) error { return a.inForce().GiveTo(uid, gid) }
