package listening

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/admin"
	"github.com/uniomq/unio/internal/mosqlog"
)

// Error says which address could not be listened on, and why.
type Error struct {
	Address string // "127.0.0.1:1883", or the path of a Unix socket
	Err     error
}

// Error returns "cannot listen on ADDRESS: cause", with a hint where there is one.
func (e *Error) Error() string {
	cause := e.Err
	if sys, ok := errors.AsType[*os.SyscallError](cause); ok { // net and os repeat the address
		cause = sys.Err
	}
	hint := ""
	if errors.Is(cause, fs.ErrPermission) {
		hint = " (ports below 1024 need the capability CAP_NET_BIND_SERVICE)"
	}
	return fmt.Sprintf("cannot listen on %s: %v%s", e.Address, cause, hint)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// listener is an open socket with what the engine is told about it.
type listener struct {
	net.Listener
	from    config.Listener
	door    *door                  // nil: MQTT lies directly on the socket
	api     *admin.Server          // nil: it speaks MQTT
	options broker.ListenerOptions // at the start
	served  chan struct{}          // closed when the engine knows the listener
	serve   sync.Once              // closes it
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	l.serve.Do(func() { close(l.served) })
	c, err := l.Listener.Accept()
	if err == nil {
		leaveWaitingRoom(c)
	}
	return c, err
}

// nagle is a listener whose connections have Nagle's algorithm on or off. Go turns it off by itself.
type nagle struct {
	net.Listener
	off *atomic.Bool
}

func (n nagle) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil && !n.off.Load() {
		_ = tcp.SetNoDelay(false) // fails only if the client is gone already
	}
	return c, err
}

// Open opens all listeners, or none. The error is an [*Error] if one cannot be opened. sockets are
// open already, and are its own from then on; one that no listener names is an error. keyLog gets the
// secrets of TLS connections; nil: nobody. Clients can connect, and wait for Start.
func (s *Listening) Open(cfg *config.Config, sockets []net.Listener, keyLog io.Writer) error {
	s.keyLog = keyLog
	doors, warnings, err := openDoors(cfg, s.keyLog, noDoor)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		s.o.Log.Warn(w.String())
	}
	s.noDelay.Store(cfg.SetTCPNoDelay)
	all, err := s.openAll(cfg, doors, &passed{left: sockets})
	if err != nil {
		return err
	}
	s.opened, s.listeners = cfg.Listeners, all
	s.inForce.Store(&cfg.Listeners)
	return nil
}

// openAll opens what Open does, with doors for each.
func (s *Listening) openAll(cfg *config.Config, doors []*door, passed *passed) ([]*listener, error) {
	log := s.o.Log
	var all []*listener
	defer passed.close()
	for i, l := range cfg.Listeners {
		sockets, err := open(l, passed, log)
		if err != nil && cfg.LocalOnly && len(all) > 0 && noSuchAddress(err) {
			log.Warn(err.Error() + "; going on without")
			continue
		}
		if err != nil {
			closeAll(all)
			return nil, err
		}
		api, err := s.newAPI(cfg, l, doors[i])
		if err != nil {
			closeSockets(sockets)
			closeAll(all)
			return nil, fmt.Errorf("listener %s: %w", l.Name(), err)
		}
		for n, socket := range sockets {
			d := doors[i]
			if tcp, ok := socket.(*net.TCPListener); ok && d == nil && api == nil {
				socket, err = broker.SocketListener(tcp, s.noDelay.Load)
			}
			at := &listener{Listener: nagle{socket, &s.noDelay}, from: l, door: d, api: api, options: listenerOptions(cfg, l), served: make(chan struct{})}
			if d != nil {
				d.describe(&at.options)
				at.Listener, err = d.wrap(at.Listener, cfg, s.o.Broker, log)
			}
			if err != nil {
				closeAll(all)
				closeSockets(sockets[n:])
				return nil, fmt.Errorf("listener %s: %w", l.Name(), err)
			}
			all = append(all, at)
		}
	}
	if err := passed.check(); err != nil {
		closeAll(all)
		return nil, err
	}
	return all, nil
}

// closeAll closes listeners that were not served.
func closeAll(all []*listener) {
	for _, l := range all {
		_ = l.Close() // nobody connected yet
	}
}

func closeSockets(sockets []net.Listener) {
	for _, s := range sockets {
		_ = s.Close()
	}
}

// open opens the sockets of one listener: several for a host name or all addresses.
func open(l config.Listener, passed *passed, log *slog.Logger) ([]net.Listener, error) {
	if l.Port == 0 {
		if s := passed.unix(l.Path); s != nil {
			log.Log(context.Background(), mosqlog.LevelInformation, fmt.Sprintf("Using the service manager's socket on path %s.", l.Path))
			return []net.Listener{s}, nil
		}
		return openUnix(l.Path, log)
	}
	addresses, err := addressesOf(l)
	if err != nil {
		return nil, &Error{l.Place(), err}
	}
	var opened []net.Listener
	var missing error
	for _, a := range addresses {
		if s, there := passed.tcp(a, int(l.Port)); there {
			if s != nil {
				log.Log(context.Background(), mosqlog.LevelInformation, fmt.Sprintf("Using the service manager's socket at %s.", s.Addr()))
				opened = append(opened, s)
			}
			continue
		}
		log.Log(context.Background(), mosqlog.LevelInformation,
			fmt.Sprintf("Opening %s listen socket on port %d.", a.family(), l.Port))
		s, err := a.listen(l)
		switch {
		case err == nil:
			opened = append(opened, s)
		case noSuchAddress(err): // no matter if there is another one: a system without IPv6, say
			missing = err
		default:
			for _, s := range opened {
				_ = s.Close()
			}
			return nil, err
		}
	}
	if len(opened) == 0 {
		return nil, missing
	}
	return opened, nil
}

// address is one address of a listener.
type address struct {
	network string // "tcp4" or "tcp6"
	host    string
}

func (a address) family() string { return "ipv" + a.network[len(a.network)-1:] }

// resolveTimeout bounds the search for the addresses of a host name.
const resolveTimeout = 10 * time.Second

// addressesOf returns the addresses of a listener: one socket for each family where
// none is named, since one for both would hide IPv4 clients behind IPv6 addresses.
func addressesOf(l config.Listener) ([]address, error) {
	v4, v6 := l.SocketDomain != "ipv6", l.SocketDomain != "ipv4"
	all := []address{{"tcp4", "0.0.0.0"}, {"tcp6", "::"}}
	if l.Address != "" {
		ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
		defer cancel()
		ips, err := net.DefaultResolver.LookupIPAddr(ctx, l.Address)
		if err != nil {
			return nil, err
		}
		all = nil
		for _, ip := range ips {
			if ip.IP.To4() != nil {
				all = append(all, address{"tcp4", ip.String()})
			} else {
				all = append(all, address{"tcp6", ip.String()})
			}
		}
	}
	var chosen []address
	for _, a := range all {
		if a.network == "tcp4" && v4 || a.network == "tcp6" && v6 {
			chosen = append(chosen, a)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no %s address", l.SocketDomain)
	}
	return chosen, nil
}

// listen opens one socket.
func (a address) listen(l config.Listener) (net.Listener, error) {
	at := net.JoinHostPort(a.host, strconv.Itoa(int(l.Port)))
	lc := net.ListenConfig{KeepAlive: -1} // MQTT has its own
	lc.SetMultipathTCP(l.MPTCP)
	if l.BindInterface != "" {
		lc.Control = bindTo(l.BindInterface)
	}
	s, err := lc.Listen(context.Background(), a.network, at)
	if err != nil {
		return nil, &Error{at, err}
	}
	return s, nil
}

// noSuchAddress reports whether the system lacks an address or its whole family.
func noSuchAddress(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) ||
		errors.Is(err, syscall.EPROTONOSUPPORT)
}

// openUnix opens a Unix socket, in place of one that an earlier run left behind.
func openUnix(path string, log *slog.Logger) ([]net.Listener, error) {
	log.Log(context.Background(), mosqlog.LevelInformation,
		fmt.Sprintf("Opening unix listen socket on path %s.", path))
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, &Error{path, err}
		}
	}
	s, err := net.Listen("unix", path)
	if err != nil {
		return nil, &Error{path, err}
	}
	return []net.Listener{s}, nil
}
