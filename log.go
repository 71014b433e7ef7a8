package unio

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/files"
	"github.com/uniomq/unio/internal/mosqlog"
)

// logFileMode lets the owner alone read a log that is made: it names clients and
// topics.
const logFileMode = 0o600

// Log is a log in Mosquitto's form, to the destinations that a configuration names.
// What it logs and where may change while it is used.
type Log struct {
	*slog.Logger
	handler *mosqlog.Handler
	topics  topicSink

	mu       sync.Mutex // guards the fields below
	current  *Destinations
	detached bool
}

// Destinations are where a log may go: files and the like that are open, and not yet
// or not any more in use.
type Destinations struct {
	cfg   config.Log
	file  *os.File // nil for none
	made  bool     // root has made it
	sinks []mosqlog.Sink
	// lent has what is open here and is closed there; nil: all is d's own.
	lent *Destinations
	// kept says why the file that was asked for is not the one that is open.
	kept error
	// unreachable says why the log goes to standard error instead of to syslog.
	unreachable error
}

// OpenLog opens the log that a configuration asks for.
func OpenLog(cfg config.Log) (*Log, error) {
	l := &Log{handler: mosqlog.NewHandler(cfg)}
	l.Logger = slog.New(l.handler)
	l.topics.init()
	d, err := l.open(cfg)
	if err != nil {
		l.topics.close()
		return nil, err
	}
	return l, l.Use(d)
}

// Open opens destinations for Use. If the file is the one that is in use and cannot be opened anew, they are those in
// use: a user that the process has changed to may not do what root could, and a broker that goes on
// must log on. Use tells of it.
func (l *Log) Open(cfg config.Log) (*Destinations, error) {
	d, err := l.open(cfg)
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.current; err != nil && last.file != nil && last.cfg.File == cfg.File {
		return &Destinations{cfg: cfg, file: last.file, sinks: last.sinks, lent: last, kept: err}, nil
	}
	return d, err
}

func (l *Log) open(cfg config.Log) (*Destinations, error) {
	d := &Destinations{cfg: cfg}
	if cfg.Stdout {
		d.sinks = append(d.sinks, mosqlog.Lines(os.Stdout))
	}
	stderr := cfg.Stderr
	if cfg.Syslog {
		sink, err := openSyslog(cfg.Facility)
		if err == nil {
			d.sinks = append(d.sinks, sink)
		} else {
			d.unreachable, stderr = err, true
		}
	}
	if stderr {
		d.sinks = append(d.sinks, mosqlog.Lines(os.Stderr))
	}
	if cfg.Topic {
		d.sinks = append(d.sinks, &l.topics)
	}
	if cfg.File != "" {
		var err error
		if d.file, d.made, err = files.Append(cfg.File, logFileMode); err != nil {
			return nil, errors.Join(fmt.Errorf("open the log: %w", err), d.Close())
		}
		d.sinks = append(d.sinks, mosqlog.Lines(d.file))
	}
	return d, nil
}

// Use makes the log go to d, and closes what it went to. What Open could not open is logged.
func (l *Log) Use(d *Destinations) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.detached {
		d.forgetConsole()
	}
	l.handler.Set(d.cfg, d.sinks...)
	last := l.current
	l.current = d
	if d.unreachable != nil {
		l.Warn("log_dest syslog: " + d.unreachable.Error() + "; logging to stderr")
	}
	if d.kept != nil {
		l.Error(d.kept.Error() + "; the log goes on where it went, to the file that is open even if that has another name now")
	}
	if d.lent != nil {
		d.lent = nil // what was last's is d's
		return nil
	}
	if last == nil {
		return nil
	}
	return last.Close()
}

// Reopen opens all destinations anew, for the program that rotates the log's file, as Open and Use do.
// On an error the log goes where it went.
func (l *Log) Reopen() error {
	l.mu.Lock()
	cfg := l.current.cfg
	l.mu.Unlock()
	d, err := l.Open(cfg)
	if err != nil {
		return err
	}
	return l.Use(d)
}

// Detach stops writing to standard output and standard error, as a daemon does.
func (l *Log) Detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.detached = true
	l.current.forgetConsole()
	l.handler.Set(l.current.cfg, l.current.sinks...)
}

// GiveTo makes a file that the log made belong to a user, who is to open it again.
func (l *Log) GiveTo(uid, gid int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.current.made {
		return nil
	}
	return l.current.file.Chown(uid, gid)
}

// PublishTo makes a broker publish the lines for log_dest topic, which go nowhere
// before that. It is called once, at most.
func (l *Log) PublishTo(b *broker.Broker) { l.topics.publishTo(b.Publish) }

// Close ends the log: nothing is logged after it.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handler.Set(config.Log{})
	l.topics.close()
	return l.current.Close()
}

// forgetConsole leaves out standard output and standard error.
func (d *Destinations) forgetConsole() {
	kept := make([]mosqlog.Sink, 0, len(d.sinks))
	for _, sink := range d.sinks {
		if sink != mosqlog.Lines(os.Stdout) && sink != mosqlog.Lines(os.Stderr) {
			kept = append(kept, sink)
		}
	}
	d.sinks = kept
}

// Close closes what is open. A log does so with what it does not use any more.
func (d *Destinations) Close() error {
	if d.lent != nil {
		return nil
	}
	var errs []error
	for _, sink := range d.sinks {
		if c, ok := sink.(interface{ Close() error }); ok {
			errs = append(errs, c.Close())
		}
	}
	if d.file != nil {
		errs = append(errs, d.file.Close())
	}
	return errors.Join(errs...)
}
