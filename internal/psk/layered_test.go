package psk

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/internal/testenv"
)

// layered is the interface that the engine looks for.
type layered interface {
	net.Conn
	syscall.Conn
	TryRead(sock io.Reader, p []byte) (int, error)
	TryWrite(sock io.Writer, p []byte) (int, error)
	TryClose(sock io.Writer)
}

var _ layered = (*Conn)(nil)

// socket is one that does not block: Read gives what arrived, Write takes what there is room for.
type socket struct {
	arrived []byte
	over    bool
	taken   []byte
	room    int
}

func (s *socket) Read(p []byte) (int, error) {
	if len(s.arrived) == 0 {
		if s.over {
			return 0, io.EOF
		}
		return 0, syscall.EAGAIN
	}
	n := copy(p, s.arrived)
	s.arrived = s.arrived[n:]
	return n, nil
}

func (s *socket) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.room -= n
	s.taken = append(s.taken, p[:n]...)
	if n < len(p) {
		return n, syscall.EAGAIN
	}
	return n, nil
}

// only hides what else a socket can do.
type only struct{ io.Reader }

const plenty = 1 << 30

// records returns what a connection would write for each of the data.
func records(t testing.TB, c *Conn, data ...[]byte) []byte {
	t.Helper()
	s := &socket{room: plenty}
	for _, p := range data {
		if n, err := c.TryWrite(s, p); n != len(p) || err != nil {
			t.Fatalf("TryWrite: %d, %v", n, err)
		}
	}
	return s.taken
}

// idle fails the test if a connection holds a buffer.
func idle(t testing.TB, c *Conn) {
	t.Helper()
	if c.raw != nil || c.plain != nil || c.messages != nil || c.buffer != nil || c.sealed != nil {
		t.Errorf("an idle connection holds %d %d %d %d bytes, buffer %t",
			cap(c.raw), cap(c.plain), cap(c.messages), cap(c.sealed), c.buffer != nil)
	}
}

// readAll reads until EAGAIN.
func readAll(t testing.TB, c *Conn, s *socket, p []byte) (got []byte) {
	t.Helper()
	for {
		n, err := c.TryRead(s, p)
		if err == syscall.EAGAIN && n == 0 {
			return got
		}
		if err != nil || n == 0 {
			t.Fatalf("TryRead: %d, %v", n, err)
		}
		got = append(got, p[:n]...)
	}
}

func TestTryReadTakesRecordsAsTheyArrive(t *testing.T) {
	t.Parallel()
	for _, id := range AllSuites() {
		client, server := connected(t, testClient(id))
		var sent, got []byte
		s := &socket{}
		random := rand.New(rand.NewPCG(1, uint64(id)))
		buffer := make([]byte, 16384)
		for round := range 200 {
			var data []byte
			for range random.IntN(4) {
				data = append(data, bytes.Repeat([]byte{byte(round)}, 1+random.IntN(1<<random.IntN(17)))...)
			}
			wire := records(t, client, data)
			sent = append(sent, data...)
			for len(wire) > 0 {
				n := min(len(wire), 1+random.IntN(1<<random.IntN(16)))
				s.arrived = append(s.arrived, wire[:n]...)
				wire = wire[n:]
				size := len(buffer)
				if random.IntN(4) == 0 {
					size = 1 + random.IntN(300)
				}
				got = append(got, readAll(t, server, s, buffer[:size])...)
			}
			idle(t, server)
			idle(t, client)
		}
		if !bytes.Equal(sent, got) {
			t.Fatalf("%v: read %d bytes, not the %d that were written", id, len(got), len(sent))
		}
	}
}

// dripping is a socket on which one byte arrives at a time.
type dripping struct{ socket }

func (d *dripping) Read(p []byte) (int, error) { return d.socket.Read(p[:min(len(p), 1)]) }

// TestARecordThatArrivesByteByByteCostsWhatItIsLong reads records of two lengths that have the same
// bytes in all.
func TestARecordThatArrivesByteByByteCostsWhatItIsLong(t *testing.T) {
	cost := func(length int) time.Duration {
		client, server := connected(t, testClient(AllSuites()[0]))
		data := make([][]byte, maxPlaintext*32/length)
		for i := range data {
			data[i] = make([]byte, length)
		}
		s := &dripping{socket{arrived: records(t, client, data...)}}
		p, total := make([]byte, 20_000), 0
		before := testenv.CPUTime(t)
		for {
			n, err := server.TryRead(s, p)
			total += n
			if err == syscall.EAGAIN {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		took := testenv.CPUTime(t) - before
		if total != maxPlaintext*32 {
			t.Fatalf("%d bytes came", total)
		}
		idle(t, server)
		return took
	}
	if short, long := cost(maxPlaintext/64), cost(maxPlaintext); long > 2*short {
		t.Errorf("a byte of a short record costs %v, one of a long record %v", short/(maxPlaintext*32), long/(maxPlaintext*32))
	}
}

func TestTryReadGivesManyRecordsAtOnce(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	s := &socket{arrived: records(t, client, []byte("one "), []byte("two "), []byte("three"))}
	p := make([]byte, 16384)
	if n, err := server.TryRead(s, p); err != nil || string(p[:n]) != "one two three" {
		t.Errorf("TryRead: %q, %v", p[:n], err)
	}
}

func TestTryReadGivesDataBeforeTheEnd(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	wire := records(t, client, []byte("last words"))
	goodbye := &socket{room: plenty}
	client.TryClose(goodbye)
	s := &socket{arrived: append(wire, goodbye.taken...)}
	p := make([]byte, 16384)
	if n, err := server.TryRead(s, p); err != nil || string(p[:n]) != "last words" {
		t.Errorf("TryRead: %q, %v", p[:n], err)
	}
	for range 2 {
		if n, err := server.TryRead(s, p); n != 0 || err != io.EOF {
			t.Errorf("TryRead: %d, %v, want EOF", n, err)
		}
	}
}

func TestEndWithoutGoodbye(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	p := make([]byte, 16384)
	wire := records(t, client, []byte("one"), []byte("two"))
	s := &socket{arrived: wire[:len(wire)-1], over: true}
	if n, err := server.TryRead(s, p); err != nil || string(p[:n]) != "one" {
		t.Errorf("TryRead: %q, %v", p[:n], err)
	}
	if _, err := server.TryRead(s, p); err != io.ErrUnexpectedEOF {
		t.Errorf("the end inside a record: %v", err)
	}
	client, server = connected(t, testClient())
	s = &socket{arrived: records(t, client, []byte("one")), over: true}
	if n, err := server.TryRead(s, p); err != nil || string(p[:n]) != "one" {
		t.Errorf("TryRead: %q, %v", p[:n], err)
	}
	if _, err := server.TryRead(s, p); err != io.EOF {
		t.Errorf("the end between records: %v", err)
	}
}

func TestTryReadServesWhatReadLeft(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	if _, err := client.Write([]byte("CONNECT and more")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 7)
	if _, err := io.ReadFull(server, p); err != nil || string(p) != "CONNECT" {
		t.Fatalf("%q, %v", p, err)
	}
	if got := readAll(t, server, &socket{}, make([]byte, 100)); string(got) != " and more" {
		t.Errorf("TryRead: %q", got)
	}
	idle(t, server)
}

func TestTryWriteStopsWhereTheSocketIsFull(t *testing.T) {
	t.Parallel()
	for _, id := range AllSuites() {
		client, server := connected(t, testClient(id))
		random := rand.New(rand.NewPCG(2, uint64(id)))
		data := make([]byte, 100_000)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		s := &socket{}
		for rest := data; len(rest) > 0 || client.sealed != nil; {
			s.room = random.IntN(20_000)
			n, err := client.TryWrite(s, rest)
			if err != nil && err != syscall.EAGAIN || err == nil && n < len(rest) || n > len(rest) {
				t.Fatalf("TryWrite: %d, %v", n, err)
			}
			if rest = rest[n:]; err == nil && len(rest) == 0 {
				break
			}
		}
		idle(t, client)
		in := &socket{arrived: s.taken}
		if got := readAll(t, server, in, make([]byte, 16384)); !bytes.Equal(got, data) {
			t.Fatalf("%v: read %d bytes, not the %d that were written", id, len(got), len(data))
		}
	}
}

func TestWriteFirstDeliversWhatTryWriteLeft(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	full := &recorderSocket{conn: client.inner, room: 3}
	if n, err := client.TryWrite(full, []byte("one")); n != 3 || err != syscall.EAGAIN {
		t.Fatalf("TryWrite: %d, %v", n, err)
	}
	if n, err := client.Write(nil); n != 0 || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	idle(t, client)
	p := make([]byte, 3)
	if _, err := io.ReadFull(server, p); err != nil || string(p) != "one" {
		t.Errorf("read %q, %v", p, err)
	}
}

// recorderSocket is a socket in front of a connection.
type recorderSocket struct {
	conn net.Conn
	room int
}

func (s *recorderSocket) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.room -= n
	if n > 0 {
		if _, err := s.conn.Write(p[:n]); err != nil {
			return 0, err
		}
	}
	if n < len(p) {
		return n, syscall.EAGAIN
	}
	return n, nil
}

// want reads one alert that the peer wrote.
func wantAlert(t testing.TB, peer *Conn, wire []byte, level byte, a alert) {
	t.Helper()
	if len(wire) < headerLen || recordType(wire[0]) != recordAlert {
		t.Fatalf("got %x, want the alert %v", wire, a)
	}
	typ, p, err := peer.open(wire)
	if err != nil || typ != recordAlert || len(p) != 2 || p[0] != level || alert(p[1]) != a {
		t.Fatalf("got %v %x, %v, want level %d alert %v", typ, p, err, level, a)
	}
}

// wish is a record that asks for renegotiation.
func wish(c *Conn) []byte {
	m := message(typeHelloRequest, nothing)
	if c.client != nil {
		m = c.client.hello(newRandom()).marshal()
	}
	c.seal(recordHandshake, m)
	defer func() { c.sealed, c.buffer = nil, nil }()
	return bytes.Clone(c.sealed)
}

func TestRenegotiationIsRefused(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"client asks", "server asks"} {
		for _, writable := range []bool{true, false} {
			asks, refuses := connected(t, testClient())
			if side == "server asks" {
				asks, refuses = refuses, asks
			}
			p := make([]byte, 16384)
			for range maxRefusals {
				s := &socket{arrived: append(wish(asks), records(t, asks, []byte("data"))...), room: plenty}
				var sock io.Reader = only{s}
				if writable {
					sock = s
				}
				if n, err := refuses.TryRead(sock, p); err != nil || string(p[:n]) != "data" {
					t.Fatalf("%s: TryRead: %q, %v", side, p[:n], err)
				}
				if !writable {
					if n, err := refuses.TryWrite(s, nil); n != 0 || err != nil {
						t.Fatalf("%s: TryWrite: %d, %v", side, n, err)
					}
				}
				wantAlert(t, asks, s.taken, levelWarning, alertNoRenegotiation)
				idle(t, refuses)
			}
			s := &socket{arrived: wish(asks), room: plenty}
			_, err := refuses.TryRead(only{s}, p)
			if err == nil || !strings.Contains(err.Error(), "attempts to renegotiate") {
				t.Fatalf("%s: TryRead: %v", side, err)
			}
			refuses.TryClose(s)
			wantAlert(t, asks, s.taken, levelFatal, alertUnexpectedMessage)
		}
	}
}

func TestRenegotiationIsRefusedWhileSomebodyWrites(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	full := &socket{room: 1}
	if n, err := server.TryWrite(full, []byte("reply")); n != 5 || err != syscall.EAGAIN {
		t.Fatalf("TryWrite: %d, %v", n, err)
	}
	server.writeMu.Lock() // as a blocking Write would hold it
	s := &socket{arrived: wish(client), room: plenty}
	if n, err := server.TryRead(s, make([]byte, 16384)); n != 0 || err != syscall.EAGAIN {
		t.Fatalf("TryRead: %d, %v", n, err)
	}
	server.writeMu.Unlock()
	full.room = plenty
	if n, err := server.TryWrite(full, nil); n != 0 || err != nil {
		t.Fatalf("TryWrite: %d, %v", n, err)
	}
	n := headerLen + int(full.taken[3])<<8 + int(full.taken[4])
	if _, p, err := client.open(full.taken[:n]); err != nil || string(p) != "reply" {
		t.Fatalf("the first record is %q, %v", p, err)
	}
	wantAlert(t, client, full.taken[n:], levelWarning, alertNoRenegotiation)
}

func TestForgedRecordEndsTheConnection(t *testing.T) {
	t.Parallel()
	for _, id := range AllSuites() {
		first, _ := connected(t, testClient(id))
		length := len(records(t, first, []byte("some data")))
		for i := headerLen; i < length; i++ {
			client, server := connected(t, testClient(id))
			wire := records(t, client, []byte("some data"))
			wire[i] ^= 1 << (i % 8)
			s := &socket{arrived: wire, room: plenty}
			p := make([]byte, 100-i%2*95) // in turn enough, and too little
			for range 2 {
				if n, err := server.TryRead(s, p); n != 0 || !errors.Is(err, errMAC) {
					t.Fatalf("%v: byte %d flipped: %d, %v", id, i, n, err)
				}
			}
			wantAlert(t, client, s.taken, levelFatal, alertBadRecordMAC)
			if _, err := server.TryWrite(s, []byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Fatalf("%v: write after a fatal alert: %v", id, err)
			}
		}
	}
}

func TestRecordsCannotBeRepeatedDroppedOrSwapped(t *testing.T) {
	t.Parallel()
	for _, id := range AllSuites() {
		for name, choose := range map[string]func(one, two, three []byte) [][]byte{
			"repeated": func(one, _, _ []byte) [][]byte { return [][]byte{one, one} },
			"dropped":  func(one, _, three []byte) [][]byte { return [][]byte{one, three} },
			"swapped":  func(one, two, three []byte) [][]byte { return [][]byte{one, three, two} },
		} {
			client, server := connected(t, testClient(id))
			one, two, three := records(t, client, []byte("1")), records(t, client, []byte("2")), records(t, client, []byte("3"))
			s := &socket{arrived: bytes.Join(choose(one, two, three), nil), room: plenty}
			p := make([]byte, 16384)
			if n, err := server.TryRead(s, p); err != nil || string(p[:n]) != "1" {
				t.Fatalf("%v %s: %q, %v", id, name, p[:n], err)
			}
			if n, err := server.TryRead(s, p); n != 0 || !errors.Is(err, errMAC) {
				t.Errorf("%v %s: %q, %v", id, name, p[:n], err)
			}
		}
	}
}

func TestStrictRecordsAfterTheHandshake(t *testing.T) {
	t.Parallel()
	many := func(typ recordType, p []byte, n int) func(*Conn) {
		return func(c *Conn) {
			for range n {
				c.seal(typ, p)
			}
		}
	}
	header := func(h ...byte) func(*Conn) {
		return func(c *Conn) { c.sealed = append(c.sealed, h...) }
	}
	for _, c := range []struct {
		name  string
		send  func(*Conn)
		alert alert
		text  string
	}{
		{"record of 65535 bytes", header(23, 3, 3, 0xFF, 0xFF), alertRecordOverflow, "a record of 65535 bytes"},
		{"record of unknown type", header(24, 3, 3, 0, 1), alertUnexpectedMessage, "a record of type 24"},
		{"record of TLS 1.1", header(23, 3, 2, 0, 1), alertProtocolVersion, "version 0x0302"},
		{"content too long", many(recordApplicationData, make([]byte, maxPlaintext+1), 1), alertRecordOverflow, "a record "},
		{"empty records for ever", many(recordApplicationData, nil, maxUseless+1), alertUnexpectedMessage, "bring nothing"},
		{"warnings for ever", many(recordAlert, []byte{1, 90}, maxUseless+1), alertUnexpectedMessage, "bring nothing"},
		{"empty handshake record", many(recordHandshake, nil, 1), alertUnexpectedMessage, "without content"},
		{"alert of one byte", many(recordAlert, []byte{2}, 1), alertDecodeError, "an alert of 1 bytes"},
		{"alert of unknown level", many(recordAlert, []byte{3, 80}, 1), alertIllegalParameter, "level 3"},
		{"ChangeCipherSpec", many(recordChangeCipherSpec, []byte{1}, 1), alertUnexpectedMessage, "type 20 after the handshake"},
		{"Finished", many(recordHandshake, message(typeFinished, nothing), 1), alertUnexpectedMessage, "type 20 after the handshake"},
		{"huge handshake message", many(recordHandshake, []byte{1, 1, 0, 0}, 1), alertDecodeError, "message of 65540 bytes"},
		{"endless handshake message", many(recordHandshake, append([]byte{1, 0, 0x3F, 0}, make([]byte, 9000)...), 2), alertDecodeError, "more than 16384"},
	} {
		for _, size := range []int{20_000, 16} {
			client, server := connected(t, testClient())
			client.sealed = []byte{}
			client.buffer = new([]byte)
			c.send(client)
			s := &socket{arrived: client.sealed, room: plenty}
			client.sealed, client.buffer = nil, nil
			n, err := server.TryRead(s, make([]byte, size))
			if n != 0 || err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %d, %v, want %q", c.name, n, err, c.text)
				continue
			}
			wantAlert(t, client, s.taken, levelFatal, c.alert)
			idle(t, server)
		}
	}
}

func TestContentTooLongInARecordThatIsNot(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient(PSKWithAES128CBC)) // its records may be longer than these are
	client.seal(recordApplicationData, make([]byte, maxPlaintext+1))
	s := &socket{arrived: client.sealed, room: plenty}
	client.sealed, client.buffer = nil, nil
	if n, err := server.TryRead(s, make([]byte, 20_000)); n != 0 || err == nil || !strings.Contains(err.Error(), "16385 bytes of content") {
		t.Errorf("TryRead: %d, %v", n, err)
	}
	wantAlert(t, client, s.taken, levelFatal, alertRecordOverflow)
}

// TestPaddingIsChecked has records with a MAC that is right, which only somebody with the key can make.
func TestPaddingIsChecked(t *testing.T) {
	t.Parallel()
	key := make([]byte, 32)
	for name, content := range map[string][]byte{
		"right":            append([]byte("data"), bytes.Repeat([]byte{11}, 12)...),
		"one byte wrong":   append([]byte("data"), append(bytes.Repeat([]byte{11}, 10), 7, 11)...),
		"longer than all":  bytes.Repeat([]byte{16}, 16),
		"all of it":        bytes.Repeat([]byte{15}, 16),
		"nothing to check": append(make([]byte, 15), 0),
	} {
		writer, reader := newCBC(key, key[:16], nil).(*cbc), newCBC(key, key[:16], nil)
		p := make([]byte, 16, 100)
		p = append(p, content...)
		cipher.NewCBCEncrypter(writer.block, p[:16]).CryptBlocks(p[16:], p[16:])
		p = append(p, writer.authenticate(recordApplicationData, p)...)
		got, err := reader.open(recordApplicationData, p)
		want := map[string]int{"right": 4, "all of it": 0, "nothing to check": 15}
		if n, ok := want[name]; ok != (err == nil) || ok && len(got) != n {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestFatalAlertOfThePeer(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	client.owed.Store(levelFatal<<8 | uint32(alertInternalError))
	wire := &socket{room: plenty}
	client.TryClose(wire)
	s := &socket{arrived: wire.taken, room: plenty}
	for range 2 {
		if _, err := server.TryRead(s, make([]byte, 100)); err == nil || !strings.Contains(err.Error(), "alert internal_error") {
			t.Errorf("TryRead: %v", err)
		}
	}
	if len(s.taken) > 0 {
		t.Errorf("an alert was answered: %x", s.taken)
	}
}

func TestTryBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	a, _ := memnet.Pipe()
	c := Server(a, testServer())
	if _, err := c.TryRead(&socket{}, make([]byte, 10)); !errors.Is(err, errNoHandshake) {
		t.Errorf("TryRead: %v", err)
	}
	if _, err := c.TryWrite(&socket{}, make([]byte, 10)); !errors.Is(err, errNoHandshake) {
		t.Errorf("TryWrite: %v", err)
	}
	s := &socket{room: plenty}
	if c.TryClose(s); len(s.taken) > 0 {
		t.Errorf("TryClose wrote %x", s.taken)
	}
	if _, err := c.SyscallConn(); !errors.Is(err, errNoDescriptor) {
		t.Errorf("SyscallConn in memory: %v", err)
	}
	_, b := testenv.Loopback(t)
	if _, err := Server(b, testServer()).SyscallConn(); err != nil {
		t.Errorf("SyscallConn of a socket: %v", err)
	}
}

func TestCloseDoesNotWaitForAWriter(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := client.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	})
	if _, err := server.Read(make([]byte, 100)); err != nil {
		t.Error(err)
	}
	client.Close()
	wg.Wait()
}

func TestSteadyTrafficDoesNotAllocate(t *testing.T) {
	for _, id := range AllSuites() {
		client, server := connected(t, testClient(id))
		data, p := make([]byte, 64), make([]byte, 16384)
		s := &socket{room: plenty}
		allocs := testing.AllocsPerRun(1000, func() {
			s.taken = s.taken[:0]
			if _, err := client.TryWrite(s, data); err != nil {
				t.Fatal(err)
			}
			s.arrived = s.taken
			if n, err := server.TryRead(s, p); n != len(data) || err != nil {
				t.Fatal(n, err)
			}
		})
		limit := 0.0
		if suiteOf(id).cbc() {
			limit = 4 // a block mode for each record
		}
		if allocs > limit {
			t.Errorf("%v: %v allocations per message, want at most %v", id, allocs, limit)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, id := range AllSuites() {
		b.Run(id.String()+"/64B", func(b *testing.B) {
			client, server := connected(b, testClient(id))
			data, p := make([]byte, 64), make([]byte, 16384)
			s := &socket{room: plenty}
			b.ReportAllocs()
			for b.Loop() {
				s.taken, s.room = s.taken[:0], plenty
				_, _ = client.TryWrite(s, data)
				s.arrived = s.taken
				if n, err := server.TryRead(s, p); n != len(data) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
