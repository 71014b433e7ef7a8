// Package logs is the log of a server: where lines go, and how that changes while it is used. What
// a line looks like is package mosqlog's.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/files"
	"github.com/uniomq/unio/internal/logqueue"
	"github.com/uniomq/unio/internal/mosqlog"
)

// logFileMode lets the owner alone read a log that is made: it names clients and
// topics.
const logFileMode = 0o600

// Log is a log in Mosquitto's form, to the destinations that a configuration names.
// What it logs and where may change while it is used.
//
// Nobody waits for a destination: lines wait in memory, 1 MiB for each, and a goroutine writes them.
// Lines that find no room, or that a destination refuses, are lost. The log says so when it goes on.
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
	cfg     config.Log
	file    *os.File // nil for none
	made    bool     // root has made it
	outlets []outlet
	// lent has what is open here and is closed there; nil: all is d's own.
	lent *Destinations
	// kept says why the file that was asked for is not the one that is open.
	kept error
	// unreachable says why the log goes to standard error instead of to syslog.
	unreachable error
}

// outlet is one destination.
type outlet struct {
	sink    mosqlog.Sink
	queue   *logqueue.Queue // sink, if lines wait there; nil: they do not
	closer  io.Closer       // after the queue; nil: nothing is to be closed
	console bool            // standard output or standard error
}

// closeTimeout is how long a destination that takes nothing is waited for at its end.
const closeTimeout = 5 * time.Second

// Open opens the log that a configuration asks for.
func Open(cfg config.Log) (*Log, error) {
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
		return &Destinations{cfg: cfg, file: last.file, outlets: last.outlets, lent: last, kept: err}, nil
	}
	return d, err
}

func (l *Log) open(cfg config.Log) (*Destinations, error) {
	d := &Destinations{cfg: cfg}
	if cfg.Stdout {
		d.add(l, outlet{sink: mosqlog.Lines(os.Stdout), console: true}, "stdout")
	}
	stderr := cfg.Stderr
	if cfg.Syslog {
		sink, err := openSyslog(cfg.Facility)
		if err == nil {
			closer, _ := sink.(io.Closer)
			d.add(l, outlet{sink: sink, closer: closer}, "syslog")
		} else {
			d.unreachable, stderr = err, true
		}
	}
	if stderr {
		d.add(l, outlet{sink: mosqlog.Lines(os.Stderr), console: true}, "stderr")
	}
	if cfg.Topic {
		d.outlets = append(d.outlets, outlet{sink: &l.topics}) // it has a queue of its own
	}
	if cfg.File != "" {
		var err error
		if d.file, d.made, err = files.Append(cfg.File, logFileMode); err != nil {
			return nil, errors.Join(fmt.Errorf("open the log: %w", err), d.Close())
		}
		d.add(l, outlet{sink: mosqlog.Lines(d.file), closer: d.file}, "file "+cfg.File)
	}
	return d, nil
}

// add puts a queue before an outlet. name is its log_dest.
func (d *Destinations) add(l *Log, o outlet, name string) {
	o.queue = logqueue.New(o.sink, func(lines int, cause error) {
		why := "it takes lines too slowly"
		if cause != nil {
			why = cause.Error()
		}
		l.Warn(fmt.Sprintf("log_dest %s: %d lines were lost: %s", name, lines, why))
	})
	o.sink = o.queue
	d.outlets = append(d.outlets, o)
}

// sinks are what the log's handler is to write to.
func (d *Destinations) sinks() []mosqlog.Sink {
	sinks := make([]mosqlog.Sink, len(d.outlets))
	for i, o := range d.outlets {
		sinks[i] = o.sink
	}
	return sinks
}

// Use makes the log go to d, and closes what it went to. What Open could not open is logged.
func (l *Log) Use(d *Destinations) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.detached {
		_ = closeOutlets(d.forgetConsole()) // nothing waits there
	}
	l.handler.Set(d.cfg, d.sinks()...)
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
	console := l.current.forgetConsole()
	l.handler.Set(l.current.cfg, l.current.sinks()...)
	_ = closeOutlets(console) // what a console does not take is told nobody
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

// forgetConsole takes away standard output and standard error, and returns them.
func (d *Destinations) forgetConsole() (console []outlet) {
	var kept []outlet
	for _, o := range d.outlets {
		if o.console {
			console = append(console, o)
		} else {
			kept = append(kept, o)
		}
	}
	d.outlets = kept
	return console
}

// Flush waits until each destination has what was logged before, or until ctx ends.
func (l *Log) Flush(ctx context.Context) error {
	l.mu.Lock()
	outlets := l.current.outlets
	l.mu.Unlock()
	var errs []error
	for _, o := range outlets {
		if o.queue != nil {
			errs = append(errs, o.queue.Flush(ctx))
		}
	}
	return errors.Join(errs...)
}

// Close closes what is open. A log does so with what it does not use any more.
func (d *Destinations) Close() error {
	if d.lent != nil {
		return nil
	}
	return closeOutlets(d.outlets)
}

// closeOutlets writes what waits, all outlets at once, and closes them.
func closeOutlets(outlets []outlet) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	errs := make([]error, len(outlets))
	var all sync.WaitGroup
	for i, o := range outlets {
		all.Go(func() {
			if o.queue != nil {
				errs[i] = o.queue.Close(ctx)
			}
			if o.closer != nil {
				errs[i] = errors.Join(errs[i], o.closer.Close())
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
