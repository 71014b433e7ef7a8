package psk

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/internal/memnet"
)

// wire returns what both ends write in a handshake.
func wire(t testing.TB, id Suite) (client, server []byte) {
	t.Helper()
	a, b := memnet.Pipe()
	ra, rb := &recorder{Conn: a}, &recorder{Conn: b}
	mustShake(t, Client(ra, testClient(id)), Server(rb, testServer()))
	return ra.written.Bytes(), rb.written.Bytes()
}

// stranger runs a handshake with a peer that sends p, whatever it is answered, and then nothing any more.
func stranger(t *testing.T, p []byte, make func(memnetConn) *Conn) {
	t.Helper()
	a, b := memnet.Pipe()
	if _, err := a.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := a.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c := make(b.(memnetConn))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	if err := c.HandshakeContext(ctx); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("handshake with a stranger: %v after %v", err, time.Since(start))
	}
	if len(c.messages) > 0 || cap(c.raw) > 2*(maxPlaintext+growStep) || cap(c.raw) > 2*(len(p)+growStep) {
		t.Fatalf("%d and %d bytes are held for %d that came", cap(c.messages), cap(c.raw), len(p))
	}
	c.Close()
}

type memnetConn = *memnet.Conn

func FuzzServerHandshake(f *testing.F) {
	for _, id := range AllSuites() {
		client, _ := wire(f, id)
		f.Add(client)
	}
	for _, r := range recordedSessions(f) {
		f.Add(unhex(f, r["client"]))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		stranger(t, p, func(c memnetConn) *Conn { return Server(c, testServer()) })
	})
}

func FuzzClientHandshake(f *testing.F) {
	for _, id := range AllSuites() {
		_, server := wire(f, id)
		f.Add(server)
	}
	for _, r := range recordedSessions(f) {
		f.Add(unhex(f, r["server"]))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		stranger(t, p, func(c memnetConn) *Conn { return Client(c, testClient()) })
	})
}

// FuzzMessages holds that a hello and a key exchange that were understood are written, and understood again, as the same.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{}, byte(0))
	for _, r := range recordedSessions(f) {
		f.Add(unhex(f, r["client"])[headerLen+4:], byte(0))
		f.Add(unhex(f, r["server"])[headerLen+4:headerLen+4+53], byte(1))
	}
	f.Add((&keyExchange{name: []byte("device"), point: make([]byte, 32)}).marshal(typeClientKeyExchange)[4:], byte(2))
	f.Add((&keyExchange{name: []byte("hint"), group: groupX25519, point: make([]byte, 32)}).marshal(typeServerKeyExchange)[4:], byte(3))
	f.Fuzz(func(t *testing.T, p []byte, kind byte) {
		if len(p) > maxHandshake {
			return
		}
		var once, twice []byte
		switch kind % 4 {
		case 0:
			var m, again clientHello
			if m.parse(p) != nil {
				return
			}
			once = m.marshal()
			if err := again.parse(once[4:]); err != nil {
				t.Fatalf("%x: %v", once, err)
			}
			again.has = m.has // those that are not understood are not written
			twice = again.marshal()
		case 1:
			var m, again serverHello
			if m.parse(p) != nil {
				return
			}
			once = m.marshal()
			if err := again.parse(once[4:]); err != nil {
				t.Fatalf("%x: %v", once, err)
			}
			again.has = m.has
			twice = again.marshal()
		default:
			typ := []messageType{typeClientKeyExchange, typeServerKeyExchange}[kind%2]
			var m, again keyExchange
			if m.parse(typ, p, kind&4 == 0) != nil {
				return
			}
			once = m.marshal(typ)
			if err := again.parse(typ, once[4:], kind&4 == 0); err != nil || !bytes.Equal(once[4:], p) {
				t.Fatalf("%x became %x: %v", p, once, err)
			}
			twice = again.marshal(typ)
		}
		if !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x", once, twice)
		}
	})
}

// FuzzRecords gives a connection bytes in pieces, after the handshake: first good records, then strange bytes, some of them encrypted with the right key.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("data"), byte(23), uint16(100), byte(0))
	f.Add([]byte{1, 100}, byte(21), uint16(3), byte(1))
	f.Add([]byte{1, 0, 0, 0, 1, 0, 0, 0}, byte(22), uint16(20), byte(3))
	f.Fuzz(func(t *testing.T, p []byte, typ byte, piece uint16, suite byte) {
		plain := AllSuites()[4:] // those without ECDHE: its records are the same, and the handshake is slow
		id := plain[int(suite)%len(plain)]
		client, server := connected(t, testClient(id))
		defer server.Close()
		good := records(t, client, []byte("one"), bytes.Repeat([]byte("two"), 1000))
		client.seal(recordType(typ), p[:min(len(p), maxPlaintext)])
		arrive := bytes.Join([][]byte{good, client.sealed, p}, nil)
		client.sealed, client.buffer = nil, nil
		s := &socket{room: plenty}
		buffer := make([]byte, 1+int(piece)%20_000)
		var got []byte
		for !s.over {
			n := min(len(arrive), 1+int(piece))
			s.arrived, arrive = append(s.arrived, arrive[:n]...), arrive[n:]
			s.over = len(arrive) == 0
			for {
				n, err := server.TryRead(s, buffer)
				got = append(got, buffer[:n]...)
				if err == syscall.EAGAIN {
					break
				}
				if err != nil && n == 0 {
					s.over = true
					break
				}
				if err != nil || n == 0 {
					t.Fatalf("TryRead: %d, %v", n, err)
				}
			}
		}
		want := "one" + strings.Repeat("two", 1000)
		if recordType(typ) == recordApplicationData {
			want += string(p[:min(len(p), maxPlaintext)])
		}
		if string(got) != want {
			t.Fatalf("got %d bytes, want %d", len(got), len(want))
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add("# comment\ndevice:00ff\n\nsensor: AB\r\n")
	f.Add("a:1\na:12\n:12\nb")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKeys("file", text)
		if (k == nil) == (err == nil) {
			t.Fatalf("%v and %v", k, err)
		}
		if err != nil {
			var mistakes mistake.Errors
			if !errors.As(err, &mistakes) || len(mistakes) == 0 || mistakes[0].Line < 1 || mistakes[0].Line > strings.Count(text, "\n")+1 {
				t.Fatalf("the mistakes are %v", err)
			}
			return
		}
		for identity, key := range k.keys {
			if !validIdentity(identity) || len(key) == 0 || len(key) > MaxKey || identity != strings.TrimSpace(identity) {
				t.Fatalf("identity %q with a key of %d bytes", identity, len(key))
			}
		}
	})
}
