package websocket

import (
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// proxies are 127.0.0.0/8, where the tests are, and others.
var proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}

func TestTheLastEntryThatIsNoProxyIsTheClient(t *testing.T) {
	t.Parallel()
	trusting, wary, others := listen(t, Options{Proxies: proxies}), listen(t, Options{}), listen(t, Options{Proxies: proxies[1:]})
	for _, tc := range []struct{ header, want string }{
		{"203.0.113.7", "203.0.113.7"},
		{"198.51.100.1, 203.0.113.7", "203.0.113.7"},
		{"127.0.0.1, 203.0.113.7", "203.0.113.7"},
		{"203.0.113.7, 10.1.1.1", "203.0.113.7"},
		{"127.0.0.1, 203.0.113.7, 10.1.1.1,2001:db8:1::7 , ::ffff:10.1.1.1", "203.0.113.7"},
		{"10.1.1.1, 10.1.1.2", "192.0.2.1"},
		{"<script>, 203.0.113.7, 10.1.1.1", "203.0.113.7"}, // what the client wrote does not matter
		{"203.0.113.7:4711", "203.0.113.7:4711"},
		{"2001:db8::1", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[2001:db8::1]:4711", "[2001:db8::1]:4711"},
		{"::ffff:203.0.113.7", "203.0.113.7"},
		{"203.0.113.7, ,", "203.0.113.7"},
		{"", "192.0.2.1"}, // of the line before
	} {
		for _, s := range []*server{trusting, wary, others} {
			nc := s.dial(t)
			exchange(t, nc, request("X-Forwarded-For: 192.0.2.1", "+X-Forwarded-For: "+tc.header))
			c := s.accept(t)
			want := nc.LocalAddr().String()
			_, port, _ := net.SplitHostPort(want)
			if s == trusting {
				if want = tc.want; net.ParseIP(want) != nil {
					want = net.JoinHostPort(want, port)
				}
			}
			if got := c.RemoteAddr().String(); got != want || !c.Forwarded() {
				t.Errorf("%q: remote address %s, want %s; forwarded is %v", tc.header, got, want, c.Forwarded())
			}
			if got := c.NetConn().RemoteAddr().String(); got != nc.LocalAddr().String() {
				t.Errorf("the connection below says %s", got)
			}
		}
	}
	nc := trusting.dial(t)
	exchange(t, nc, request("X-Forwarded-For: 10.1.1.1:7, 10.1.1.2"))
	if got := trusting.accept(t).RemoteAddr().String(); got != "10.1.1.1:7" {
		t.Errorf("of proxies alone: %v", got)
	}
	nc = trusting.dial(t)
	exchange(t, nc, request())
	if c := trusting.accept(t); c.Forwarded() || c.RemoteAddr().String() != nc.LocalAddr().String() {
		t.Errorf("without the header: %v, %v", c.Forwarded(), c.RemoteAddr())
	}
}

func TestAnEntryThatIsNoAddressIsRefused(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{Proxies: proxies})
	for _, header := range []string{
		"unknown", "_hidden", "203.0.113.700", "203.0.113.7, x", "x, 10.1.1.1", "fe80::1%eth0", "[fe80::1%eth0]:4711", "fe80::1% New client connected from 203.0.113.7:1 as admin",
		"::ffff:203.0.113.7%1", "203.0.113.7:99999", "203.0.113.7/32", strings.Repeat("9", 5000),
	} {
		if a := exchange(t, s.dial(t), request("X-Forwarded-For: "+header)); a.status != http.StatusBadRequest {
			t.Errorf("%q: status %d", header, a.status)
		}
		if cause := <-s.refusals; !strings.Contains(cause, "X-Forwarded-For is no IP address") || len(cause) > 200 {
			t.Errorf("%q: refused with %v", header, cause)
		}
	}
}

func TestWhoConnectsToAUnixSocketIsAProxyIfThereAreAny(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"203.0.113.7:0": {Proxies: proxies}, "@": {}} {
		inner, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		l, err := New(inner, o)
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("unix", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, nc, request("X-Forwarded-For: 203.0.113.7"))
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.RemoteAddr().String(); got != name {
			t.Errorf("%s, want %s", got, name)
		}
		_, _, _ = c.Close(), nc.Close(), l.Close()
	}
}

func TestAProxyThatNobodyNamedIsToldOfOnce(t *testing.T) {
	t.Parallel()
	told := make(chan net.Addr, 3)
	s := listen(t, Options{Proxies: proxies[1:], Disbelieved: func(peer net.Addr) { told <- peer }})
	for range 3 {
		exchange(t, s.dial(t), request("X-Forwarded-For: 203.0.113.7"))
		s.accept(t)
	}
	if peer := <-told; len(told) != 0 || !strings.HasPrefix(peer.String(), "127.0.0.1:") {
		t.Errorf("told of %v, and %d more", peer, len(told))
	}
}
