package listening

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/certs"
	"github.com/uniomq/unio/internal/listener/proxyproto"
	"github.com/uniomq/unio/internal/listener/tlsconn"
	"github.com/uniomq/unio/internal/listener/websocket"
	"github.com/uniomq/unio/internal/psk"
	"github.com/uniomq/unio/mqtt"
)

// door is what stands between the sockets of one listener and MQTT: TLS with certificates or with pre-shared keys, WebSocket, the PROXY
// protocol. It follows the files that it was made from.
type door struct {
	from   atomic.Pointer[config.Listener] // in force for connections from now on
	certs  *certs.Source                   // nil: no certificates
	watch  *certs.Watch
	server *psk.ServerConfig // nil: no pre-shared keys
	keys   atomic.Pointer[psk.Keys]
	http   atomic.Int64 // connections of a WebSocket listener that are not upgraded
	// changes is how often other files were taken.
	changes atomic.Uint64
}

// openDoors makes the doors of all listeners, nil for those that need none. Where the process may not read the files of one,
// kept may return another one. The error is a config.Errors with all mistakes.
func openDoors(cfg *config.Config, keyLog io.Writer, kept func(config.Listener) *door) (doors []*door, warnings []config.Warning, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), filesTimeout)
	defer cancel()
	var mistakes config.Errors
	for i, l := range cfg.Listeners {
		warn := func(option, file, text string) {
			at := cfg.Origin(option, i)
			if file != "" {
				text = file + ": " + text
			}
			warnings = append(warnings, config.Warning{File: at.File, Line: at.Line, Option: option, Msg: text})
		}
		d, err := openDoor(ctx, cfg, l, keyLog, warn)
		if errors.Is(err, fs.ErrPermission) {
			if last := kept(l); last != nil {
				d, err = last, nil
			}
		}
		doors = append(doors, d)
		if err == nil {
			continue
		}
		option := "listener"
		switch {
		case l.TLS.PSKHint != "":
			option = "psk_file"
		case len(l.TLS.ACME.Domains) > 0:
			option = "acme_domain"
		}
		if oe, ok := errors.AsType[*certs.OptionError](err); ok {
			if option, err = oe.Option, oe.Err; oe.File != "" {
				err = fmt.Errorf("%s: %w", oe.File, oe.Err)
			}
		}
		at := cfg.Origin(option, i)
		mistakes = mistakes.Add(err, at.File, at.Line, option)
	}
	if len(mistakes) > 0 {
		return nil, nil, mistakes
	}
	return doors, warnings, nil
}

// noDoor keeps none.
func noDoor(config.Listener) *door { return nil }

// keptDoor returns one with the certificates that a listener has, if its options of TLS are the same as before. A key is often
// root's alone: once root is given up it cannot be read again, which must not refuse all that a reload brings.
func (s *Listening) keptDoor(l config.Listener) *door {
	for _, open := range s.listeners {
		if open.door == nil || open.door.certs == nil || indexOf([]config.Listener{l}, open.from) < 0 {
			continue
		}
		if reflect.DeepEqual(open.door.from.Load().TLS, l.TLS) {
			d := &door{certs: open.door.certs}
			d.from.Store(&l)
			return d
		}
	}
	return nil
}

// filesTimeout bounds the reading of certificates and keys: they may be on a network.
const filesTimeout = 30 * time.Second

// same reports whether two doors have the same layers, so that one can take the other's place.
func (d *door) same(other *door) bool {
	if d == nil || other == nil {
		return d == other
	}
	a, b := d.from.Load(), other.from.Load()
	return (d.certs != nil) == (other.certs != nil) && (d.server != nil) == (other.server != nil) && a.Protocol == b.Protocol &&
		a.ProxyProtocol == b.ProxyProtocol
}

// follow takes what a new door was made from, for connections from now on.
func (d *door) follow(cfg *config.Config, next *door, keyLog io.Writer) error {
	defer d.changes.Add(1)
	d.from.Store(next.from.Load())
	if d.certs != nil {
		ctx, cancel := context.WithTimeout(context.Background(), filesTimeout)
		defer cancel()
		return d.certs.Replace(ctx, certOptions(cfg, *next.from.Load(), keyLog))
	}
	if d.server != nil {
		d.keys.Store(next.keys.Load())
	}
	return nil
}

// openDoor reads what a listener's options name; nil: nothing lies between. warn is told what is used, but not as the file says; its file, if
// there is one, is that which the option names.
func openDoor(ctx context.Context, cfg *config.Config, l config.Listener, keyLog io.Writer, warn func(option, file, text string)) (*door, error) {
	d := &door{}
	d.from.Store(&l)
	switch t := &l.TLS; {
	case t.PSKHint != "":
		return d, d.openKeys(keyLog, warn)
	case t.On():
		source, err := certs.Open(ctx, certOptions(cfg, l, keyLog))
		if err != nil {
			return nil, err
		}
		d.certs = source
		for _, w := range source.Warnings() {
			warn(w.Option, w.File, w.Text)
		}
	case l.Protocol == config.MQTT && l.ProxyProtocol == 0:
		return nil, nil
	}
	return d, nil
}

// openKeys reads the pre-shared keys.
func (d *door) openKeys(keyLog io.Writer, warn func(option, file, text string)) error {
	t := &d.from.Load().TLS
	keys, err := psk.LoadKeys(t.PSKFile)
	if err != nil {
		return err
	}
	d.keys.Store(keys)
	d.server = &psk.ServerConfig{Hint: t.PSKHint, Lookup: d.lookup, KeyLog: keyLog}
	if t.Ciphers != "" {
		known, unknown := psk.ParseSuites(t.Ciphers)
		if len(known) == 0 {
			return &certs.OptionError{Option: "ciphers", Err: fmt.Errorf("expected suites for pre-shared keys, such as %s, not %s", psk.AllSuites()[0], t.Ciphers)}
		}
		if len(unknown) > 0 {
			warn("ciphers", "", "not available for pre-shared keys, and left out: "+strings.Join(unknown, ", "))
		}
		d.server.Suites = known
	}
	return d.server.Check()
}

func (d *door) lookup(identity string) ([]byte, bool) { return d.keys.Load().Lookup(identity) }

// certOptions are the options of a listener in the words of package certs.
func certOptions(cfg *config.Config, l config.Listener, keyLog io.Writer) certs.Options {
	t := &l.TLS
	o := certs.Options{
		CertFile: t.CertFile, KeyFile: t.KeyFile, CAFile: t.CAFile, CAPath: t.CAPath, CRLFile: t.CRLFile,
		RequireCertificate: t.RequireCertificate, DisableClientDateChecks: t.NoDateChecks,
		MinVersion: t.Version, Ciphers: t.Ciphers, CiphersTLS13: t.Ciphers13, KeyLog: keyLog, ALPN: []string{"mqtt"},
	}
	if l.Protocol == config.WebSockets || l.Protocol == config.HTTPAPI {
		o.ALPN = []string{"http/1.1"}
	}
	if a := &t.ACME; len(a.Domains) > 0 {
		o.ACME = &certs.ACME{Domains: a.Domains, Email: a.Email, CacheDir: ACMECache(cfg, l), DirectoryURL: a.Directory}
	}
	return o
}

// ACMECache is the folder that keeps what ACME got for a listener.
func ACMECache(cfg *config.Config, l config.Listener) string {
	if l.TLS.ACME.Cache != "" {
		return l.TLS.ACME.Cache
	}
	return filepath.Join(cfg.PersistenceLocation, "acme")
}

// wrap puts the layers over a socket. b bounds the connections that are not MQTT yet.
func (d *door) wrap(s net.Listener, cfg *config.Config, b *broker.Broker, log *slog.Logger) (net.Listener, error) {
	l, from := s, d.from.Load()
	if n := from.ProxyProtocol; n > 0 {
		proxied, err := proxyproto.NewListener(l, n)
		if err != nil {
			return nil, err
		}
		proxied.Admit = func(client net.Addr, h *proxyproto.Header) error {
			if err := b.AdmitAddress(client); err != nil {
				return err
			}
			return checkProxied(d.from.Load(), h)
		}
		l = proxied
	}
	if from.Protocol == config.WebSockets {
		l = &waitingRoom{Listener: l, door: d, broker: b}
	}
	switch {
	case d.certs != nil:
		l = tlsconn.NewListener(l, d.certs.Config())
	case d.server != nil:
		l = psk.NewListener(l, d.server)
	}
	if from.Protocol == config.WebSockets {
		return websocket.New(l, websocket.Options{
			Origins: from.WebSocketOrigins, HTTPDir: from.HTTPDir, HandshakeTimeout: cfg.ConnectTimeout,
			MaxFrame: int64(cfg.MaxPacketSize) + maxFrameSlack, Proxies: from.ForwardedFor,
			Disbelieved: func(peer net.Addr) {
				log.Warn(fmt.Sprintf("listener %s: %v sends X-Forwarded-For, which is not believed. If it is a proxy of yours, name it in"+
					" websockets_forwarded_for: bans and rules about addresses go by the proxy's address otherwise.", from.Name(), peer))
			},
			Refused: func(client net.Addr, cause error) {
				if !harmless(cause) {
					b.Refuse(client, s.Addr(), cause)
				}
			},
		})
	}
	return l, nil
}

// describe tells the engine what it meets at the door.
func (d *door) describe(o *broker.ListenerOptions) {
	o.Identify, o.Verify, o.Harmless = d.identify, d.verify, harmless
	from := d.from.Load()
	o.Admitted = from.Protocol == config.WebSockets
	o.Proxied = from.ProxyProtocol > 0 && !o.Admitted
}

// maxFrameSlack is how much larger than a packet a WebSocket frame may be: clients put several packets into one.
const maxFrameSlack = 1 << 20

// identify says what the layers know of a client.
func (d *door) identify(conn net.Conn) (*broker.Transport, error) {
	t, from, nc := &broker.Transport{}, d.from.Load(), conn
	for nc != nil {
		switch c := nc.(type) {
		case *psk.Conn:
			s := c.State()
			t.TLS, t.Cipher, t.PSKIdentity = tls.VersionName(s.Version), s.Suite.String(), s.Identity
		case *tlsconn.Conn:
			if err := describeTLS(t, c.ConnectionState()); err != nil {
				return t, err
			}
		case *websocket.Conn:
			t.Forwarded = c.Forwarded()
		case *proxyproto.Conn:
			if err := checkProxied(from, c.Header()); err != nil { // it may ask for more since the header came
				return t, err
			}
			describeProxied(t, c.Header())
		case *waiter: // the handshakes of its layers are no part of the login
			if err := d.verifySince(c, conn); err != nil {
				return t, err
			}
		}
		below, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = below.NetConn()
	}
	switch {
	case from.IdentityAsUsername && t.PSKIdentity != "":
		t.Username = t.PSKIdentity
	case from.IdentityAsUsername:
		t.Username = t.CommonName
	case from.SubjectAsUsername:
		t.Username = t.Subject
	default:
		return t, nil
	}
	if t.Username == "" {
		return t, errNoIdentity
	}
	return t, nil
}

// verify checks again what a handshake has proved, against what is in force now: the client's
// certificate, or its pre-shared key.
func (d *door) verify(nc net.Conn) error {
	for nc != nil {
		var err error
		switch c := nc.(type) {
		case *psk.Conn:
			if !c.Valid() {
				err = errors.New("its pre-shared key is not the one of the psk_file any more")
			}
		case *tlsconn.Conn:
			err = d.certs.Verify(c.ConnectionState())
		}
		below, ok := nc.(interface{ NetConn() net.Conn })
		if err != nil || !ok {
			return err
		}
		nc = below.NetConn()
	}
	return nil
}

// verifySince is verify for a connection that was accepted before other files were taken.
func (d *door) verifySince(w *waiter, conn net.Conn) error {
	if w.changes == d.changes.Load() {
		return nil
	}
	return d.verify(conn)
}

// checkProxied refuses a client that the load balancer should not have let through.
func checkProxied(from *config.Listener, h *proxyproto.Header) error {
	secure := h != nil && h.TLS != nil
	switch {
	case from.ProxyRequireTLS && !secure:
		return fmt.Errorf("it came to the load balancer without TLS: %w", mqtt.NotAuthorized)
	case from.TLS.RequireCertificate && !from.TLS.On() && (!secure || !h.TLS.Verified):
		return fmt.Errorf("it came to the load balancer without a certificate: %w", mqtt.NotAuthorized)
	}
	return nil
}

// describeProxied fills in what a load balancer says of its side.
func describeProxied(t *broker.Transport, h *proxyproto.Header) {
	if h == nil || h.TLS == nil {
		return
	}
	if t.TLS == "" {
		t.TLS, t.Cipher = h.TLS.Version, h.TLS.Cipher
	}
	if h.TLS.Verified && t.CommonName == "" {
		t.CommonName = h.TLS.CommonName
	}
}

// errNoIdentity has the code that Mosquitto answers a client with that shows no certificate where one is to name it.
var errNoIdentity = fmt.Errorf("no certificate to take the user name from: %w", mqtt.BadUserNameOrPassword)

// describeTLS fills in what a handshake says.
func describeTLS(t *broker.Transport, s tls.ConnectionState) (err error) {
	t.TLS, t.Cipher = tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite)
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	cert := s.PeerCertificates[0]
	t.CommonName, _ = certs.CommonName(cert) // a certificate may well have other names alone
	t.Fingerprint = certs.Fingerprint(cert)
	t.Names = append(append([]string(nil), cert.DNSNames...), cert.EmailAddresses...)
	for _, u := range cert.URIs {
		t.Names = append(t.Names, u.String())
	}
	t.Subject, err = certs.Subject(cert)
	return err
}

// harmless reports whether a handshake ended as it should without becoming a client's connection: an ACME authority has checked a domain, or a
// load balancer that somebody listens.
func harmless(err error) bool {
	return errors.Is(err, tlsconn.ErrChallenge) || errors.Is(err, proxyproto.ErrLocal)
}

// waitingRoom is a listener whose connections speak HTTP until they are upgraded. They have a count
// of their own: who reads web pages takes no place of a client that is about to connect.
type waitingRoom struct {
	net.Listener
	door   *door
	broker *broker.Broker
}

// errHTTPConnections refuses a connection beyond max_http_connections.
var errHTTPConnections = fmt.Errorf("max_http_connections exceeded: %w", broker.ErrUnaccepted)

func (r *waitingRoom) Accept() (net.Conn, error) {
	for {
		nc, err := r.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := r.admit(nc); err != nil {
			r.broker.Refuse(nc.RemoteAddr(), nc.LocalAddr(), err)
			_ = nc.Close()
			continue
		}
		return &waiter{Conn: nc, room: r, changes: r.door.changes.Load()}, nil
	}
}

// admit counts a connection, unless there are too many.
func (r *waitingRoom) admit(nc net.Conn) error {
	from := r.door.from.Load()
	if n := r.door.http.Add(1); from.MaxHTTPConnections > 0 && n > int64(from.MaxHTTPConnections) {
		r.door.http.Add(-1)
		return errHTTPConnections
	}
	if from.ProxyProtocol > 0 { // it is that of a load balancer
		return nil
	}
	err := r.broker.AdmitAddress(nc.RemoteAddr())
	if err != nil {
		r.door.http.Add(-1)
	}
	return err
}

// waiter is a connection in a waitingRoom.
type waiter struct {
	net.Conn
	room    *waitingRoom
	changes uint64 // of the door, when it was accepted
	left    sync.Once
}

// leave is called when the connection is MQTT, or closed.
func (w *waiter) leave() { w.left.Do(func() { w.room.door.http.Add(-1) }) }

func (w *waiter) Close() error {
	w.leave()
	return w.Conn.Close()
}

// NetConn returns the connection underneath.
func (w *waiter) NetConn() net.Conn { return w.Conn }

// SyscallConn gives the socket.
func (w *waiter) SyscallConn() (syscall.RawConn, error) {
	sc, ok := w.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return sc.SyscallConn()
}

// leaveWaitingRoom finds the waiter below an upgraded connection.
func leaveWaitingRoom(nc net.Conn) {
	for nc != nil {
		if w, ok := nc.(*waiter); ok {
			w.leave()
			return
		}
		below, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		nc = below.NetConn()
	}
}
