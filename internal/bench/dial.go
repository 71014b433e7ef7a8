package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// dialTimeout bounds opening one connection, handshakes included.
const dialTimeout = 20 * time.Second

// dialer opens connections to the broker, from its local addresses in turn.
type dialer struct {
	url   *url.URL
	tls   *tls.Config // nil: none
	local []net.Addr
	turn  atomic.Uint64
}

var defaultPorts = map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}

func newDialer(o *Options) (*dialer, error) {
	text := o.Broker
	if !strings.Contains(text, "://") {
		text = "mqtt://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("broker %q: expected HOST:PORT or a URL: %w", o.Broker, err)
	}
	port, ok := defaultPorts[u.Scheme]
	switch {
	case !ok:
		return nil, fmt.Errorf("broker %q: expected a URL with mqtt, mqtts, ws or wss", o.Broker)
	case u.Hostname() == "":
		return nil, fmt.Errorf("broker %q: expected HOST:PORT or a URL with a host", o.Broker)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	d := &dialer{url: u}
	if u.Scheme == "mqtts" || u.Scheme == "wss" {
		if d.tls = o.TLS.Clone(); d.tls == nil {
			d.tls = new(tls.Config)
		}
		if d.tls.ServerName == "" {
			d.tls.ServerName = u.Hostname()
		}
	}
	for _, b := range o.Bind {
		addr, err := netip.ParseAddr(b)
		if err != nil {
			return nil, fmt.Errorf("local address %q: expected an IP address", b)
		}
		d.local = append(d.local, &net.TCPAddr{IP: addr.AsSlice(), Zone: addr.Zone()})
	}
	return d, nil
}

// dial opens a connection and shakes hands for TLS and WebSocket.
func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if d.url.Scheme == "ws" || d.url.Scheme == "wss" {
		return d.dialWebSocket(ctx)
	}
	nc, err := d.dialTCP(ctx, "tcp", d.url.Host)
	if err != nil || d.tls == nil {
		return nc, err
	}
	secure := tls.Client(nc, d.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secure, nil
}

func (d *dialer) dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	if len(d.local) > 0 {
		dialer.LocalAddr = d.local[d.turn.Add(1)%uint64(len(d.local))]
		dialer.Control = bindLate
	}
	return dialer.DialContext(ctx, network, address)
}

func (d *dialer) dialWebSocket(ctx context.Context) (net.Conn, error) {
	transport := &http.Transport{DialContext: d.dialTCP, TLSClientConfig: d.tls, DisableKeepAlives: true}
	c, response, err := websocket.Dial(ctx, d.url.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"mqtt"},
	})
	if response != nil && response.Body != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	return &webSocket{websocket.NetConn(context.Background(), c, websocket.MessageBinary), c}, nil
}

// webSocket closes without the closing handshake, which waits for the peer.
type webSocket struct {
	net.Conn
	conn *websocket.Conn
}

// Close closes the connection at once.
func (w *webSocket) Close() error { return w.conn.CloseNow() }

// ParseBind reads a list of local addresses with commas between; an entry may be a range, such as 127.0.0.1-127.0.0.20.
func ParseBind(list string) ([]string, error) {
	const most = 65_536
	var all []string
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := netip.ParseAddr(from)
		if err != nil {
			return nil, fmt.Errorf("local address %q: expected an IP address", from)
		}
		last, err := netip.ParseAddr(to)
		if err != nil {
			return nil, fmt.Errorf("local address %q: expected an IP address", to)
		}
		if last.Less(first) || last.Is4() != first.Is4() {
			return nil, fmt.Errorf("local addresses %q: expected the lower one first", part)
		}
		for a := first; a.Compare(last) <= 0; a = a.Next() {
			if all = append(all, a.String()); len(all) > most {
				return nil, fmt.Errorf("local addresses %q: expected at most %d", list, most)
			}
		}
	}
	return all, nil
}
