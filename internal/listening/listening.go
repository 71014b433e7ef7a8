// Package listening is where clients come in: sockets, those of a service manager too, and the layers
// above them: TLS, pre-shared keys, WebSocket, the PROXY protocol. It puts together what the packages
// of each layer offer, and hands connections to the engine or to the HTTP API.
package listening

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/admin"
	"github.com/uniomq/unio/internal/certs"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/internal/part"
	"github.com/uniomq/unio/store"
)

// Options say what a Listening is to work with.
type Options struct {
	Log    *slog.Logger
	Broker *broker.Broker
	// API are those of all HTTP APIs, without what is the listener's.
	API admin.Options
	// Endpoints returns those of the HTTP APIs. It is called by Start.
	Endpoints func() []admin.Endpoint
	// Failed is told of a listener that ended by itself.
	Failed func(error)
}

// Listening is the part of a server that clients come by: sockets, and what lies between them and
// MQTT or HTTP. It has a goroutine for each socket, one that looks at certificates every day, and those
// of certificates that follow their files.
type Listening struct {
	o      Options
	keyLog io.Writer

	noDelay   atomic.Bool
	opened    []config.Listener                 // at the start
	inForce   atomic.Pointer[[]config.Listener] // nil before Open
	listeners []*listener                       // their sockets

	done    chan struct{} // closed by Close
	running sync.WaitGroup
}

// New returns one that listens nowhere yet. Prepare alone needs no Options.
func New(o Options) *Listening { return &Listening{o: o, done: make(chan struct{})} }

// Prepare implements part.Part. What is open stays open: files are read anew, and options change.
func (s *Listening) Prepare(cfg *config.Config) (part.Prepared, error) {
	doors, warnings, err := openDoors(cfg, s.keyLog, s.keptDoor)
	if err != nil {
		return part.Prepared{}, err
	}
	return part.Prepared{
		Warnings: warnings, Restart: s.unchangeable(cfg, doors), Use: func() { s.use(cfg, doors) },
	}, nil
}

// use puts a configuration in force for the sockets that are open.
func (s *Listening) use(cfg *config.Config, doors []*door) {
	s.noDelay.Store(cfg.SetTCPNoDelay)
	s.inForce.Store(&cfg.Listeners)
	s.reloadDoors(cfg, doors)
	for _, l := range s.listeners {
		if i := indexOf(cfg.Listeners, l.from); i >= 0 {
			o := listenerOptions(cfg, cfg.Listeners[i])
			o.MountPoint = l.options.MountPoint // the filters of sessions have it
			if l.door != nil {
				l.door.describe(&o)
			}
			s.o.Broker.ReconfigureListener(l, o)
		}
	}
}

// Start implements part.Part. It serves what is open.
func (s *Listening) Start() error {
	s.watchDoors()
	s.mountAPIs()
	for _, l := range s.listeners {
		s.running.Go(func() { s.serve(l) })
		<-l.served // so that Prepare and Use reach it
	}
	return nil
}

// serve accepts connections until Close or until the listener fails.
func (s *Listening) serve(l *listener) {
	var err error
	if l.api != nil {
		err = l.api.Serve(l)
	} else {
		err = s.o.Broker.ServeListener(l, l.options)
	}
	select {
	case <-s.done:
	default:
		if err != nil && !errors.Is(err, broker.ErrClosed) {
			s.o.Failed(err)
		}
	}
}

// Close implements part.Part. It closes the sockets; connected clients are the engine's.
func (s *Listening) Close(context.Context) error {
	close(s.done)
	s.closeAPIs()
	s.closeDoors()
	closeAll(s.listeners)
	s.running.Wait()
	return nil
}

// IsOpen reports whether Open has succeeded.
func (s *Listening) IsOpen() bool { return s.listeners != nil }

// Addrs returns the addresses that are listened on, those of a host name or of "all addresses" one by
// one; nil before Open.
func (s *Listening) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// Listeners returns the listeners that are open, with what holds for them now. One that the configuration in force does not have any more lets
// nobody in.
func (s *Listening) Listeners() []config.Listener {
	inForce := s.inForce.Load()
	if inForce == nil {
		return nil
	}
	all := make([]config.Listener, 0, len(s.opened))
	for _, l := range s.opened {
		l.AllowAnonymous = false
		if i := indexOf(*inForce, l); i >= 0 {
			l.AllowAnonymous = (*inForce)[i].AllowAnonymous
			l.TLS.RequireCertificate = (*inForce)[i].TLS.RequireCertificate
		}
		all = append(all, l)
	}
	return all
}

// newAPI returns the HTTP API of a listener, without endpoints; nil for a listener that has none.
func (s *Listening) newAPI(cfg *config.Config, l config.Listener, d *door) (*admin.Server, error) {
	if l.Protocol != config.HTTPAPI {
		return nil, nil
	}
	o := s.o.API
	o.Listener, o.Identify = l.Name(), d.identify
	o.HTTPDir, o.MaxConnections, o.Timeout = l.HTTPDir, max(l.MaxConnections, 0), cfg.ConnectTimeout
	return admin.New(o)
}

// mountAPIs gives all HTTP APIs their endpoints.
func (s *Listening) mountAPIs() {
	endpoints := s.o.Endpoints()
	mounted := map[*admin.Server]bool{}
	for _, l := range s.listeners {
		if l.api != nil && !mounted[l.api] {
			mounted[l.api] = true
			l.api.Mount(endpoints...)
		}
	}
}

// closeAPIs ends all HTTP APIs.
func (s *Listening) closeAPIs() {
	for _, l := range s.listeners {
		if l.api != nil {
			l.api.Close()
		}
	}
}

// doors are those of the listeners that are open, each once.
func (s *Listening) doors() []*door {
	var all []*door
	for _, l := range s.listeners {
		if l.door != nil && !slices.Contains(all, l.door) {
			all = append(all, l.door)
		}
	}
	return all
}

// watchDoors has certificates follow their files, and warns of those that will end soon, now and every day.
func (s *Listening) watchDoors() {
	for _, d := range s.doors() {
		if d.certs == nil {
			continue
		}
		place := d.from.Load().Name()
		watch, err := d.certs.Watch(func(err error) {
			if err != nil {
				s.o.Log.Error(fmt.Sprintf("listener %s: the files of TLS have changed and are not used: %v", place, err))
				return
			}
			d.changes.Add(1)
			s.o.Broker.RejudgeLogins()
			s.o.Log.Log(context.Background(), mosqlog.LevelInformation, fmt.Sprintf("listener %s: new files of TLS are in force.", place))
			s.tellExpiries(time.Now())
		})
		if err != nil {
			s.o.Log.Warn(fmt.Sprintf("listener %s: changes of the files of TLS are seen at a reload only: %v", place, err))
		}
		d.watch = watch
	}
	s.tellExpiries(time.Now())
	s.running.Go(func() {
		t := time.NewTicker(24 * time.Hour)
		defer t.Stop()
		for {
			select {
			case now := <-t.C:
				s.tellExpiries(now)
			case <-s.done:
				return
			}
		}
	})
}

// tellExpiries warns of certificates that end within a month, and have lived three quarters of their time, each once.
func (s *Listening) tellExpiries(now time.Time) {
	told := map[string]bool{}
	for _, d := range s.doors() {
		if d.certs == nil {
			continue
		}
		s.publishExpiry(d)
		for _, i := range d.certs.Expiring(now, certs.MonthAhead) {
			if life := i.NotAfter.Sub(i.NotBefore); now.Before(i.NotAfter.Add(-life / 4)) {
				continue // made for a short life, as lists of revoked certificates are
			}
			what := "expires"
			if i.NotAfter.Before(now) {
				what = "has expired"
			}
			if line := fmt.Sprintf("%s: the %s of %s %s on %s", i.File, kindOf(i), i.Subject, what, i.NotAfter.UTC().Format(time.RFC1123)); !told[line] {
				told[line] = true
				s.o.Log.Warn(line)
			}
		}
	}
}

// publishExpiry tells in $SYS when a listener's own certificates end, the first of them.
func (s *Listening) publishExpiry(d *door) {
	var end time.Time
	for _, i := range d.certs.Certificates() {
		if i.Use == certs.Server && (end.IsZero() || i.NotAfter.Before(end)) {
			end = i.NotAfter
		}
	}
	if end.IsZero() || d.from.Load().Port == 0 {
		return
	}
	err := s.o.Broker.Publish(&store.Message{
		Topic: fmt.Sprintf("$SYS/broker/listeners/%d/certificate/expires", d.from.Load().Port), Payload: strconv.AppendInt(nil, end.Unix(), 10), QoS: 2, Retain: true,
	})
	if err != nil {
		s.o.Log.Error("Unable to publish $SYS: " + err.Error())
	}
}

func kindOf(i certs.Info) string {
	if i.Use == certs.Revocations {
		return "list of revoked certificates"
	}
	return "certificate"
}

func (s *Listening) closeDoors() {
	for _, d := range s.doors() {
		if d.watch != nil {
			_ = d.watch.Close()
		}
	}
}

// reloadDoors takes new doors' files for those that are open, and says what needs a restart.
func (s *Listening) reloadDoors(cfg *config.Config, next []*door) {
	for _, l := range s.listeners {
		i := indexOf(cfg.Listeners, l.from)
		if i < 0 || l.door == nil || !l.door.same(next[i]) {
			continue
		}
		if err := l.door.follow(cfg, next[i], s.keyLog); err != nil { // between reading and reading again it has changed
			s.o.Log.Error(fmt.Sprintf("listener %s: the files of TLS are not used: %v", l.from.Name(), err))
		}
	}
}

// unchangeable says what differs from what is open and cannot change.
func (s *Listening) unchangeable(cfg *config.Config, doors []*door) []string {
	var changes []string
	for _, l := range cfg.Listeners {
		if indexOf(s.opened, l) < 0 {
			changes = append(changes, "listener "+l.Name()+" is new and is not opened")
		}
	}
	for _, l := range s.opened {
		switch i := indexOf(cfg.Listeners, l); {
		case i < 0:
			changes = append(changes, "listener "+l.Name()+" is gone; it stays open and lets nobody in")
		case cfg.Listeners[i].MountPoint != l.MountPoint:
			changes = append(changes, "mount_point of listener "+l.Name()+" is another one")
		}
	}
	for _, l := range s.listeners {
		if i := indexOf(cfg.Listeners, l.from); i >= 0 && !l.door.same(doors[i]) {
			changes = append(changes, "listener "+l.from.Name()+" has another protocol, or another kind of TLS")
		}
	}
	for _, l := range s.opened {
		if i := indexOf(cfg.Listeners, l); i >= 0 && l.TLS.PSKHint != "" {
			if t := cfg.Listeners[i].TLS; t.PSKHint != l.TLS.PSKHint || t.Ciphers != l.TLS.Ciphers {
				changes = append(changes, "psk_hint or ciphers of listener "+l.Name()+" is another one")
			}
		}
	}
	return changes
}

// indexOf returns the index of the listener that opens the same sockets as l, or -1.
func indexOf(all []config.Listener, l config.Listener) int {
	return slices.IndexFunc(all, func(other config.Listener) bool {
		return other.Name() == l.Name() && other.SocketDomain == l.SocketDomain && other.MPTCP == l.MPTCP
	})
}
