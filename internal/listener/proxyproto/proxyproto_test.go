package proxyproto

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"
)

const patience = 20 * time.Second

func tcp(address string) *net.TCPAddr {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		panic(err)
	}
	return a
}

// v2 is a header of version 2, with TLVs.
func v2(t *testing.T, source, destination net.Addr, tlvs ...proxyproto.TLV) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(2, source, destination)
	if err := h.SetTLVs(tlvs); err != nil {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// short is a header of version 2 for Unix sockets that has these bytes in place of two whole paths.
func short(rest string) string {
	return string(proxyproto.SIGV2) + "\x21\x31\x00" + string([]byte{byte(len(rest))}) + rest
}

// tlvs are TLVs as they are sent.
func tlvs(t ...proxyproto.TLV) string {
	b, err := proxyproto.JoinTLVs(t)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func ssl(t *testing.T, s tlvparse.PP2SSL) proxyproto.TLV {
	t.Helper()
	f, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func sub(kind proxyproto.PP2Type, text string) proxyproto.TLV {
	return proxyproto.TLV{Type: kind, Value: []byte(text)}
}

// withChecksum adds one to a header whose last TLV is an empty one.
func withChecksum(header string, damage byte) string {
	b := []byte(header)
	binary.BigEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b, castagnoli))
	b[len(b)-1] ^= damage
	return string(b)
}

func TestHeadersAreReadToTheLastByteAndNoFurther(t *testing.T) {
	t.Parallel()
	client, server := tcp("192.0.2.7:1234"), tcp("198.51.100.1:8883")
	client6, server6 := tcp("[2001:db8::7]:1234"), tcp("[2001:db8::1]:8883")
	unix := &net.UnixAddr{Net: "unix", Name: "/run/x"}
	full := ssl(t, tlvparse.PP2SSL{Client: 7, TLV: []proxyproto.TLV{
		sub(proxyproto.PP2_SUBTYPE_SSL_VERSION, "TLSv1.3"), sub(proxyproto.PP2_SUBTYPE_SSL_CN, "device"),
		sub(proxyproto.PP2_SUBTYPE_SSL_CIPHER, "TLS_AES_128_GCM_SHA256"),
	}})
	version := sub(proxyproto.PP2_SUBTYPE_SSL_VERSION, "TLSv1.2")
	for name, c := range map[string]struct {
		version             int
		header              string
		source, destination string // "": that of the load balancer
		tls                 *TLS
	}{
		"1, IPv4":         {1, "PROXY TCP4 192.0.2.7 198.51.100.1 1234 8883\r\n", "192.0.2.7:1234", "198.51.100.1:8883", nil},
		"1, short":        {1, "PROXY TCP6 :: :: 1 1\r\n", "[::]:1", "[::]:1", nil},
		"1, IPv6":         {1, "PROXY TCP6 2001:db8::7 2001:db8::1 1234 8883\r\n", "[2001:db8::7]:1234", "[2001:db8::1]:8883", nil},
		"1, unknown":      {1, "PROXY UNKNOWN\r\n", "", "", nil},
		"1, unknown, odd": {1, "PROXY UNKNOWN x\r\n", "", "", nil},
		"1, longest": {
			1, "PROXY UNKNOWN " + strings.Repeat("f", maxV1-minV1-1) + "\r\n", "", "", nil,
		},
		"2, IPv4":                   {2, v2(t, client, server), "192.0.2.7:1234", "198.51.100.1:8883", nil},
		"2, IPv6":                   {2, v2(t, client6, server6), "[2001:db8::7]:1234", "[2001:db8::1]:8883", nil},
		"2, unix":                   {2, v2(t, unix, unix), "/run/x", "/run/x", nil},
		"2, short unix":             {2, short("/run/x\x00"), "/run/x", "", nil},
		"2, short unix without end": {2, short("/run/x"), "/run/x", "", nil},
		"2, short unix, padded":     {2, short("/run/x" + strings.Repeat("\x00", 102)), "/run/x", "", nil},
		"2, short unix, no path":    {2, short("\x00"), "@", "", nil},
		"2, unix, no paths":         {2, short(strings.Repeat("\x00", maxAddrV2)), "@", "", nil},
		"2, short unix, TLS":        {2, short("/run/x\x00" + tlvs(ssl(t, tlvparse.PP2SSL{Client: 1, TLV: []proxyproto.TLV{version}}))), "/run/x", "", &TLS{Version: "TLSv1.2"}},
		"2, short unix, checksum":   {2, withChecksum(short("/run/x\x00\x03\x00\x04\x00\x00\x00\x00"), 0), "/run/x", "", nil},
		"2, TLS": {2, v2(t, client, server, sub(proxyproto.PP2_TYPE_ALPN, "mqtt"), full), "192.0.2.7:1234", "198.51.100.1:8883", &TLS{
			Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Certificate: true, Verified: true, CommonName: "device",
		}},
		"2, TLS without certificate": {
			2, v2(t, client, server, ssl(t, tlvparse.PP2SSL{Client: 1, TLV: []proxyproto.TLV{version}})), "192.0.2.7:1234",
			"198.51.100.1:8883", &TLS{Version: "TLSv1.2"},
		},
		"2, bad certificate": {
			2, v2(t, client, server, ssl(t, tlvparse.PP2SSL{Client: 3, Verify: 10, TLV: []proxyproto.TLV{version}})), "192.0.2.7:1234",
			"198.51.100.1:8883", &TLS{Version: "TLSv1.2", Certificate: true},
		},
		"2, no TLS": {2, v2(t, client, server, ssl(t, tlvparse.PP2SSL{Verify: 1})), "192.0.2.7:1234", "198.51.100.1:8883", nil},
		"2, most TLVs": {
			2, v2(t, client, server, sub(proxyproto.PP2_TYPE_MIN_CUSTOM, strings.Repeat("x", MaxTLVs-3))), "192.0.2.7:1234",
			"198.51.100.1:8883", nil,
		},
		"2, checksum": {
			2, withChecksum(v2(t, client, server, sub(proxyproto.PP2_TYPE_CRC32C, "\x00\x00\x00\x00")), 0), "192.0.2.7:1234",
			"198.51.100.1:8883", nil,
		},
	} {
		for _, slow := range []bool{false, true} {
			in := strings.NewReader(c.header + "rest")
			r := io.Reader(in)
			if slow {
				r = iotest.OneByteReader(in)
			}
			h, err := read(r, c.version)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if text(h.Source) != c.source || text(h.Destination) != c.destination {
				t.Errorf("%s: %v, %v", name, h.Source, h.Destination)
			}
			if (h.TLS == nil) != (c.tls == nil) || h.TLS != nil && *h.TLS != *c.tls {
				t.Errorf("%s: %+v", name, h.TLS)
			}
			if rest, _ := io.ReadAll(in); string(rest) != "rest" {
				t.Errorf("%s: %q is left", name, rest)
			}
		}
	}
}

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

func TestBadHeadersAreRefused(t *testing.T) {
	t.Parallel()
	client, server := tcp("192.0.2.7:1234"), tcp("198.51.100.1:8883")
	good := v2(t, client, server)
	change := func(at int, to ...byte) string { return good[:at] + string(to) + good[at+len(to):] }
	udp := &net.UDPAddr{IP: client.IP, Port: 1}
	for name, c := range map[string]struct {
		version int
		sent    string
		want    string
	}{
		"nothing":                 {1, "", "EOF"},
		"MQTT":                    {1, "\x10\x0c\x00\x04MQTT", "begins with MQTT"},
		"TLS":                     {2, "\x16\x03\x01\x02\x00\x01", "begins with TLS"},
		"HTTP":                    {1, "GET / HTTP/1.1\r\n\r\n", "something else"},
		"2 for 1":                 {1, good, "version 2; want version 1"},
		"1 for 2":                 {2, "PROXY TCP4 192.0.2.7 198.51.100.1 1234 8883\r\n", "version 1; want version 2"},
		"1, cut":                  {1, "PROXY TCP4 192.0.2.7 198.", "EOF"},
		"1, cut early":            {1, "PROXY", "EOF"},
		"1, too long":             {1, "PROXY UNKNOWN " + strings.Repeat("f", maxV1-minV1) + "\r\n", "no end after"},
		"1, no end":               {1, "PROXY TCP4 " + strings.Repeat("1", 1000), "no end after"},
		"1, line feed only":       {1, "PROXY TCP4 192.0.2.7 198.51.100.1 1234 8883\nxx", "carriage return"},
		"1, address":              {1, "PROXY TCP4 192.0.2.700 198.51.100.1 1234 8883\r\n", "invalid address"},
		"1, family":               {1, "PROXY TCP4 2001:db8::7 2001:db8::1 1234 8883\r\n", "invalid address"},
		"1, zone":                 {1, "PROXY TCP6 fe80::1%eth0 2001:db8::1 1234 8883\r\n", "invalid address"},
		"1, port":                 {1, "PROXY TCP4 192.0.2.7 198.51.100.1 1234 88830\r\n", "port"},
		"1, UDP":                  {1, "PROXY UDP4 192.0.2.7 198.51.100.1 1234 8883\r\n", "bad PROXY header"},
		"1, lower case":           {1, "proxy TCP4 192.0.2.7 198.51.100.1 1234 8883\r\n", "something else"},
		"2, cut":                  {2, good[:len(good)-1], "EOF"},
		"2, cut early":            {2, good[:14], "EOF"},
		"2, version 3":            {2, change(12, 0x31), "unsupported"},
		"2, command":              {2, change(12, 0x22), "unsupported"},
		"2, family":               {2, change(13, 0x41, 0, 0), "unsupported"},
		"2, no family":            {2, change(13, 0, 0, 0), "unsupported"},
		"2, transport":            {2, change(13, 0x13), "unsupported"},
		"2, datagrams":            {2, v2(t, udp, udp), "datagrams"},
		"2, short":                {2, change(14, 0, 11), "invalid length"},
		"2, long":                 {2, change(14, 0xff, 0xff), "want at most 512"},
		"2, too many TLVs":        {2, v2(t, client, server, sub(0xE0, strings.Repeat("x", MaxTLVs-2))), "want at most 512"},
		"2, TLV cut":              {2, change(14, 0, 14) + "\x03\x00", "truncated"},
		"2, TLV longer":           {2, change(14, 0, 16) + "\x03\x00\x04\x00", "truncated"},
		"2, checksum":             {2, withChecksum(v2(t, client, server, sub(proxyproto.PP2_TYPE_CRC32C, "\x00\x00\x00\x00")), 1), "checksum"},
		"2, short unix, checksum": {2, withChecksum(short("/run/x\x00\x03\x00\x04\x00\x00\x00\x00"), 1), "checksum"},
		"2, short unix, TLV cut":  {2, short("/run/x\x00\x03\x00"), "truncated"},
		"2, short unix, longest":  {2, short(strings.Repeat("x", 109)), "a path of 109 bytes; want at most 108"},
		"2, checksum's size":      {2, v2(t, client, server, sub(proxyproto.PP2_TYPE_CRC32C, "abc")), "checksum of 3 bytes"},
		"2, TLS cut":              {2, v2(t, client, server, sub(proxyproto.PP2_TYPE_SSL, "abc")), "about TLS"},
		"2, TLS without version":  {2, v2(t, client, server, ssl(t, tlvparse.PP2SSL{Client: 1})), "about TLS"},
		"2, LOCAL":                {2, change(12, 0x20), ErrLocal.Error()},
		"2, LOCAL without length": {2, good[:12] + "\x20\x00\x00\x00", ErrLocal.Error()},
	} {
		if h, err := read(strings.NewReader(c.sent), c.version); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v; want an error that says %q", name, h, err, c.want)
		}
	}
}

// FuzzHeader finds no input that makes it panic, or accept a header that it would not read back.
func FuzzHeader(f *testing.F) {
	f.Add("PROXY TCP4 192.0.2.7 198.51.100.1 1234 8883\r\n")
	f.Add("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02")
	f.Fuzz(func(t *testing.T, sent string) {
		for version := 1; version <= 2; version++ {
			h, err := read(strings.NewReader(sent), version)
			if err == nil && h.Source == nil && h.Destination != nil {
				t.Errorf("%q: %+v", sent, h)
			}
		}
	})
}

func accept(t *testing.T, version int, send string) (*Conn, net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewListener(inner, version)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); client.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(client, send); err != nil {
		t.Fatal(err)
	}
	return nc.(*Conn), client
}

func TestConnectionHasTheClientsAddress(t *testing.T) {
	t.Parallel()
	c, client := accept(t, 1, "PROXY TCP4 192.0.2.7 198.51.100.1 1234 8883\r\nhello")
	if c.RemoteAddr().String() != client.LocalAddr().String() || c.Header() != nil {
		t.Errorf("before the header: %v, %+v", c.RemoteAddr(), c.Header())
	}
	for range 2 {
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if c.RemoteAddr().String() != "192.0.2.7:1234" || c.LocalAddr().String() != "198.51.100.1:8883" || c.Header() == nil {
		t.Errorf("after the header: %v, %v", c.RemoteAddr(), c.LocalAddr())
	}
	p := make([]byte, 5)
	if _, err := io.ReadFull(c.NetConn(), p); err != nil || string(p) != "hello" {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := c.SyscallConn(); err != nil {
		t.Error(err)
	}
}

func TestConnectionOfUnknownClientHasItsOwnAddresses(t *testing.T) {
	t.Parallel()
	c, client := accept(t, 1, "PROXY UNKNOWN\r\nhello")
	p := make([]byte, 5)
	if _, err := io.ReadFull(c, p); err != nil || string(p) != "hello" { // reading reads the header first
		t.Errorf("%q, %v", p, err)
	}
	if c.RemoteAddr().String() != client.LocalAddr().String() || c.LocalAddr().String() != client.RemoteAddr().String() {
		t.Errorf("%v, %v", c.RemoteAddr(), c.LocalAddr())
	}
}

func TestConnectionWithoutHeaderGetsNoAnswer(t *testing.T) {
	t.Parallel()
	c, client := accept(t, 2, "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
	for range 2 {
		if err := c.HandshakeContext(t.Context()); !errors.Is(err, ErrNoHeader) {
			t.Errorf("%v", err)
		}
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrNoHeader) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, ErrNoHeader) {
		t.Errorf("write: %v", err)
	}
	c.Close()
	if got, _ := io.ReadAll(client); len(got) > 0 {
		t.Errorf("answered with %q", got)
	}
}

func TestSlowHeaderEndsWithContextOrDeadline(t *testing.T) {
	t.Parallel()
	c, _ := accept(t, 1, "PROXY TCP4 ")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.HandshakeContext(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	c, _ = accept(t, 2, "\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if e, ok := errors.AsType[net.Error](c.HandshakeContext(t.Context())); !ok || !e.Timeout() {
		t.Errorf("%v", e)
	}
}

func TestOtherVersionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, v := range []int{-1, 0, 3} {
		if _, err := NewListener(nil, v); err == nil {
			t.Errorf("version %d", v)
		}
	}
}

// The client's address is judged as soon as it is known, and a refusal is final.
func TestAdmitEndsTheConnection(t *testing.T) {
	t.Parallel()
	errRefused := errors.New("refused")
	for source, want := range map[string]error{"192.0.2.1:1000": nil, "192.0.2.2:1000": errRefused} {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		go func() { _, _ = io.WriteString(b, v2(t, tcp(source), tcp("192.0.2.9:1883"))+"hello") }()
		c := &Conn{Conn: a, version: 2, admit: func(client net.Addr, _ *Header) error {
			if client.String() == "192.0.2.2:1000" {
				return errRefused
			}
			return nil
		}}
		for range 2 {
			if err := c.HandshakeContext(t.Context()); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", source, err, want)
			}
		}
		if n, err := c.Read(make([]byte, 5)); !errors.Is(err, want) || want != nil && n > 0 {
			t.Errorf("%s: read %d, %v", source, n, err)
		}
		if c.RemoteAddr().String() != source {
			t.Errorf("%s: RemoteAddr %v", source, c.RemoteAddr())
		}
	}
}
