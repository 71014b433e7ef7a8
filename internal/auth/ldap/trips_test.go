package ldap

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/uniomq/unio/internal/auth"
)

// directory is a server that has the entry cn=joe, and nobody's password. It notes the operations that it is asked for.
type directory struct {
	mu  sync.Mutex
	ops []string
}

// The operations of LDAP (RFC 4511, 4.2 and 4.5), by the tag of the request.
const (
	bindRequest, bindResponse                = 0x60, 0x61
	searchRequest, searchEntry, searchResult = 0x63, 0x64, 0x65
	invalidCredentials                       = 49
)

// message returns one with an operation.
func message(id byte, tag byte, content ...byte) []byte {
	return append([]byte{0x30, byte(len(content) + 5), 0x02, 1, id, tag, byte(len(content))}, content...)
}

func result(code byte) []byte { return []byte{0x0a, 1, code, 0x04, 0, 0x04, 0} }

// serve answers a connection. Messages of this test have ids of one byte.
func (d *directory) serve(c net.Conn) {
	defer c.Close()
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		n := int(head[1])
		if n == 0x81 || n == 0x82 { // in as many bytes
			long := make([]byte, 2)
			if _, err := io.ReadFull(c, long[2-(n-0x80):]); err != nil {
				return
			}
			n = int(binary.BigEndian.Uint16(long))
		}
		m := make([]byte, n)
		if _, err := io.ReadFull(c, m); err != nil {
			return
		}
		id, tag := m[2], m[3]
		d.mu.Lock()
		d.ops = append(d.ops, map[byte]string{bindRequest: "bind", searchRequest: "search"}[tag])
		d.mu.Unlock()
		switch {
		case tag == bindRequest && bytes.Contains(m, []byte("service")):
			_, _ = c.Write(message(id, bindResponse, result(0)...))
		case tag == bindRequest:
			_, _ = c.Write(message(id, bindResponse, result(invalidCredentials)...))
		case tag == searchRequest:
			if bytes.Contains(m, []byte("joe")) {
				_, _ = c.Write(message(id, searchEntry, append([]byte{0x04, 6}, "cn=joe\x30\x00"...)...))
			}
			_, _ = c.Write(message(id, searchResult, result(0)...))
		}
	}
}

// TestUnknownUsersTakeAsManyRoundTrips as known ones with a wrong password.
func TestUnknownUsersTakeAsManyRoundTrips(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &directory{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.serve(c)
		}
	}()
	for _, base := range []string{"dc=example", ""} {
		b := backend(t, Options{URLs: []string{"ldap://" + l.Addr().String()}, BindDN: "cn=service", BindPassword: "s", Base: base, Filter: "(uid=%u)"})
		for user, want := range map[string]auth.Verdict{"joe": auth.Deny, "bob": auth.NotMine} {
			d.mu.Lock()
			d.ops = nil
			d.mu.Unlock()
			if a, err := ask(t, b, user, "guess"); err != nil || a.Verdict != want {
				t.Errorf("%s: %v, %v; want %v", user, a, err, want)
			}
			d.mu.Lock()
			if ops := []string{"bind", "search", "bind"}; !slices.Equal(d.ops, ops) {
				t.Errorf("%s: %q, want %q", user, d.ops, ops)
			}
			d.mu.Unlock()
		}
	}
}
