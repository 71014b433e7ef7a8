package websocket

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// fakeSocket is a socket for TryRead and TryWrite: it gives the pieces of in, one per Read, and takes room bytes.
type fakeSocket struct {
	in     [][]byte
	end    error // what Read says behind in; nil: EAGAIN
	out    bytes.Buffer
	room   int // bytes that out still takes
	writes int
	during func() // called in the middle of each Write; nil: nothing
}

func (s *fakeSocket) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		if s.end != nil {
			return 0, s.end
		}
		return 0, syscall.EAGAIN
	}
	n := copy(p, s.in[0])
	if s.in[0] = s.in[0][n:]; len(s.in[0]) == 0 {
		s.in = s.in[1:]
	}
	return n, nil
}

func (s *fakeSocket) Write(p []byte) (int, error) {
	s.writes++
	if s.during != nil {
		s.during()
	}
	n, _ := s.out.Write(p[:min(len(p), s.room)])
	s.room -= n
	if n < len(p) {
		return n, syscall.EAGAIN
	}
	return n, nil
}

// fakeConn is the blocking side of a fakeSocket: it writes whatever the room, and reads until the end.
type fakeConn struct {
	net.Conn  // nil
	sock      *fakeSocket
	deadlines []time.Time
	closed    int
	during    func() // called in the middle of the next Write; nil: nothing
}

func (c *fakeConn) Read(p []byte) (int, error) {
	n, err := c.sock.Read(p)
	if err == syscall.EAGAIN {
		err = io.EOF
	}
	return n, err
}

func (c *fakeConn) Write(p []byte) (int, error) {
	c.sock.writes++
	if during := c.during; during != nil {
		c.during = nil
		during()
	}
	return c.sock.out.Write(p)
}

func (c *fakeConn) SetReadDeadline(time.Time) error { return nil }

func (c *fakeConn) SetWriteDeadline(t time.Time) error {
	c.deadlines = append(c.deadlines, t)
	return nil
}

func (c *fakeConn) Close() error {
	c.closed++
	return nil
}

// fakeLayer is a layer above a fakeSocket that changes each byte, takes what it is given in records, and keeps what the
// socket does not take.
type fakeLayer struct {
	*fakeConn
	pending  []byte
	goodbyes int
	misused  bool // TryWrite was called while Write was due
}

const layerKey, layerRecord = 0x55, 100

func crypt(p []byte) []byte {
	q := bytes.Clone(p)
	for i := range q {
		q[i] ^= layerKey
	}
	return q
}

func (l *fakeLayer) SyscallConn() (syscall.RawConn, error) { return nil, syscall.EINVAL }

func (l *fakeLayer) TryRead(sock io.Reader, p []byte) (int, error) {
	n, err := sock.Read(p)
	copy(p, crypt(p[:n]))
	return n, err
}

func (l *fakeLayer) TryWrite(sock io.Writer, p []byte) (n int, err error) {
	l.misused = l.misused || len(l.pending) > 0
	for {
		m, err := sock.Write(l.pending)
		if l.pending = l.pending[m:]; err != nil {
			return n, err
		}
		if n == len(p) {
			return n, nil
		}
		record := p[n:min(len(p), n+layerRecord)]
		l.pending = crypt(record)
		n += len(record)
	}
}

func (l *fakeLayer) Write(p []byte) (int, error) {
	_, _ = l.fakeConn.Write(l.pending)
	l.pending = nil
	return l.fakeConn.Write(crypt(p))
}

func (l *fakeLayer) TryClose(io.Writer) { l.goodbyes++ }

var _ layered = (*fakeLayer)(nil)

// message is a frame as a client sees it.
type message struct {
	op      byte
	payload string
}

// parseServer cuts what a server sent into frames, in the most literal way.
func parseServer(t *testing.T, stream []byte) (all []message) {
	t.Helper()
	for len(stream) > 0 {
		if len(stream) < 2 {
			t.Fatalf("the stream ends within a header: %x", stream)
		}
		op, size, at := stream[0], uint64(stream[1]), uint64(2)
		switch {
		case op&0xF0 != fin:
			t.Fatalf("first byte %#x: not a whole message, or reserved bits", op)
		case size&maskBit != 0:
			t.Fatal("a server must not mask")
		case size == 126:
			size, at = uint64(binary.BigEndian.Uint16(stream[2:])), 4
		case size == 127:
			size, at = binary.BigEndian.Uint64(stream[2:]), 10
		}
		if uint64(len(stream)) < at+size {
			t.Fatalf("a frame of %d bytes is cut off: %d are there", size, uint64(len(stream))-at)
		}
		all = append(all, message{op & 0x0F, string(stream[at : at+size])})
		stream = stream[at+size:]
	}
	return all
}
