package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newFake(pieces ...string) (*Conn, *fakeSocket, *fakeConn) {
	sock := &fakeSocket{room: math.MaxInt}
	for _, piece := range pieces {
		if piece != "" {
			sock.in = append(sock.in, []byte(piece))
		}
	}
	inner := &fakeConn{sock: sock}
	return newConn(inner, testMax), sock, inner
}

// readAll reads with buffers of a size until an error. Without waiting, EAGAIN is the end of the pieces.
func readAll(c *Conn, sock *fakeSocket, size int, try bool) (string, error) {
	var all []byte
	p := make([]byte, size)
	for {
		n, err := 0, error(nil)
		if try {
			n, err = c.TryRead(sock, p)
		} else {
			n, err = c.Read(p)
		}
		all = append(all, p[:n]...)
		if err == syscall.EAGAIN {
			err = io.EOF
		}
		if err != nil {
			return string(all), err
		}
	}
}

func TestReadAndTryReadGiveTheSame(t *testing.T) {
	t.Parallel()
	for _, tc := range decoderCases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 7, 16 << 10} {
				for _, try := range []bool{false, true} {
					c, sock, _ := newFake(tc.stream[:len(tc.stream)/2], tc.stream[len(tc.stream)/2:])
					got, err := readAll(c, sock, size, try)
					if got != tc.payload {
						t.Errorf("buffer %d, try %v: got %.100q, want %.100q", size, try, got, tc.payload)
					}
					answer := tc.answer
					if tc.code > 1 {
						answer = serverClose(tc.code)
						var wsErr *Error
						if !errors.As(err, &wsErr) || wsErr.Code != tc.code {
							t.Errorf("buffer %d, try %v: error %v, want close code %d", size, try, err, tc.code)
						}
					} else if err != io.EOF {
						t.Errorf("buffer %d, try %v: error %v, want EOF", size, try, err)
					}
					if sock.out.String() != answer {
						t.Errorf("buffer %d, try %v: answered %q, want %q", size, try, sock.out.String(), answer)
					}
				}
			}
		})
	}
}

func TestBytesReadByHTTPComeFirst(t *testing.T) {
	t.Parallel()
	for _, try := range []bool{false, true} {
		stream := clientFrame(fin|opBinary, "early") + clientFrame(fin|opBinary, "late")
		c, sock, _ := newFake(stream[9:])
		c.early = []byte(stream[:9])
		if got, err := readAll(c, sock, 4, try); got != "earlylate" || err != io.EOF {
			t.Errorf("try %v: got %q, %v", try, got, err)
		}
		if c.early != nil {
			t.Error("the early bytes are kept")
		}
	}
}

func TestEndOfTheConnectionIsEOF(t *testing.T) {
	t.Parallel()
	c, sock, _ := newFake(clientFrame(fin|opBinary, "ab"))
	sock.end = io.EOF
	p := make([]byte, 100)
	if n, err := c.TryRead(sock, p); n != 2 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	for range 2 {
		if n, err := c.TryRead(sock, p); n != 0 || err != io.EOF {
			t.Errorf("got %d, %v, want EOF", n, err)
		}
	}
}

// TestWritesOfAnySizeThroughASocketOfAnyRoom does what the engine does, on sockets and on layers, while control frames wait
// to be sent in between. What comes out must be whole frames with the payload in order.
func TestWritesOfAnySizeThroughASocketOfAnyRoom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for round := range 100 {
		sock := &fakeSocket{}
		inner := &fakeConn{sock: sock}
		layer := &fakeLayer{fakeConn: inner}
		c := newConn(inner, testMax)
		if round%2 == 0 {
			c = newConn(layer, testMax)
		}
		var want, pongs []byte
		ping := func() {
			if rng.IntN(2) == 0 {
				return
			}
			pongs = append(pongs, byte(rng.Uint32()))
			c.in.answer = append(c.in.answer, fin|opPong, 1, pongs[len(pongs)-1])
			c.queueAnswers()
			c.flushAnswers(sock)
		}
		for range 1 + rng.IntN(6) {
			p := make([]byte, rng.IntN([]int{1, 130, 20_000, 300_000}[rng.IntN(4)]))
			fill(rng, p)
			want = append(want, p...)
			sock.room = rng.IntN(2*len(p) + 20)
			n, err := c.TryWrite(sock, p)
			if err == nil && n != len(p) || err != nil && err != syscall.EAGAIN {
				t.Fatalf("seed %d: took %d of %d: %v", seed, n, len(p), err)
			}
			ping()
			for err == syscall.EAGAIN {
				var m int
				m, err = c.Write(p[n:min(len(p), n+64<<10)])
				if n += m; err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				ping()
				if n < len(p) {
					err = syscall.EAGAIN
				}
			}
		}
		if _, err := c.Write(nil); err != nil { // what a pong left behind
			t.Fatalf("seed %d: %v", seed, err)
		}
		if layer.misused {
			t.Fatalf("seed %d: TryWrite of the layer was called while it waits for Write", seed)
		}
		out := sock.out.Bytes()
		if c.layer != nil {
			out = crypt(out)
		}
		var got, gotPongs []byte
		for _, m := range parseServer(t, out) {
			switch m.op {
			case opBinary:
				got = append(got, m.payload...)
			case opPong:
				gotPongs = append(gotPongs, m.payload...)
			default:
				t.Fatalf("seed %d: opcode %d", seed, m.op)
			}
		}
		if !bytes.Equal(got, want) || !bytes.Equal(gotPongs, pongs) {
			t.Fatalf("seed %d, round %d: got %d bytes and pongs %x, want %d and %x", seed, round, len(got), gotPongs, len(want), pongs)
		}
		if c.out.pending != nil || c.out.buffer != nil {
			t.Fatalf("seed %d: an idle connection holds a buffer", seed)
		}
	}
}

func TestWriteMakesOneMessageAndLongOnesAreSplit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		size   int
		frames []int
		writes int
	}{
		{0, nil, 0},
		{1, []int{1}, 1},
		{125, []int{125}, 1},
		{126, []int{126}, 1},
		{16<<10 - 10, []int{16<<10 - 10}, 1},
		{64 << 10, []int{64 << 10}, 2},
		{1 << 20, []int{1 << 20}, 2},
		{1<<20 + 1, []int{1 << 20, 1}, 3},
		{3 << 20, []int{1 << 20, 1 << 20, 1 << 20}, 6},
	} {
		c, sock, _ := newFake()
		p := bytes.Repeat([]byte("x"), tc.size)
		if n, err := c.TryWrite(sock, p); n != tc.size || err != nil {
			t.Errorf("%d bytes: %d, %v", tc.size, n, err)
		}
		var frames []int
		for _, m := range parseServer(t, sock.out.Bytes()) {
			frames = append(frames, len(m.payload))
		}
		if !slices.Equal(frames, tc.frames) || sock.writes != tc.writes {
			t.Errorf("%d bytes: frames of %v in %d writes, want %v in %d", tc.size, frames, sock.writes, tc.frames, tc.writes)
		}
	}
}

func TestPongWaitsForTheEndOfABegunFrame(t *testing.T) {
	t.Parallel()
	c, sock, _ := newFake(clientFrame(fin|opPing, "p"))
	sock.room = 50_000
	p := bytes.Repeat([]byte("x"), 100_000)
	n, err := c.TryWrite(sock, p)
	if err != syscall.EAGAIN {
		t.Fatalf("got %v, want EAGAIN", err)
	}
	if _, err := c.TryRead(sock, make([]byte, 100)); err != syscall.EAGAIN {
		t.Fatalf("got %v, want EAGAIN", err)
	}
	if _, err := c.Write(p[n:]); err != nil {
		t.Fatal(err)
	}
	want := []message{{opBinary, string(p)}, {opPong, "p"}}
	if got := parseServer(t, sock.out.Bytes()); !slices.Equal(got, want) {
		t.Errorf("got %.60q", fmt.Sprint(got))
	}
}

func TestPingThatComesDuringAWriteIsAnsweredBehindIt(t *testing.T) {
	t.Parallel()
	for _, try := range []bool{true, false} {
		c, sock, inner := newFake()
		ping := func() {
			sock.during = nil
			sock.in = [][]byte{[]byte(clientFrame(fin|opPing, "p"))}
			if _, err := c.TryRead(sock, make([]byte, 100)); err != syscall.EAGAIN {
				t.Errorf("got %v, want EAGAIN", err)
			}
		}
		var err error
		sock.during = ping
		if try {
			_, err = c.TryWrite(sock, []byte("x"))
		} else {
			inner.during = ping
			_, err = c.Write([]byte("x"))
		}
		if err != nil {
			t.Fatal(err)
		}
		want := []message{{opBinary, "x"}, {opPong, "p"}}
		if got := parseServer(t, sock.out.Bytes()); !slices.Equal(got, want) {
			t.Errorf("try %v: got %q", try, fmt.Sprint(got))
		}
	}
}

func TestAnswersThatNobodyReadsAreBounded(t *testing.T) {
	t.Parallel()
	c, sock, _ := newFake()
	sock.room = 50_000
	if _, err := c.TryWrite(sock, make([]byte, 100_000)); err != syscall.EAGAIN {
		t.Fatalf("got %v, want EAGAIN", err)
	}
	for i := range 1000 {
		sock.in = append(sock.in, []byte(clientFrame(fin|opPing, fmt.Sprintf("ping %d", i))))
	}
	if _, err := c.TryRead(sock, make([]byte, 100)); err != syscall.EAGAIN {
		t.Fatalf("got %v, want EAGAIN", err)
	}
	if len(c.answers) > maxAnswers || !strings.HasSuffix(string(c.answers), "ping 999") {
		t.Errorf("%d bytes wait, they end in %.20q", len(c.answers), c.answers[len(c.answers)-10:])
	}
}

func TestCloseSaysGoodbyeOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		first string // what the client sent
		end   func(c *Conn, sock *fakeSocket)
		want  string
	}{
		{"Close", "", func(c *Conn, _ *fakeSocket) { _ = c.Close() }, serverClose(1000)},
		{"TryClose", "", func(c *Conn, sock *fakeSocket) { c.TryClose(sock) }, serverClose(1000)},
		{"both", "", func(c *Conn, sock *fakeSocket) { c.TryClose(sock); _ = c.Close() }, serverClose(1000)},
		{"behind the client's", clientFrame(fin|opClose, "\x03\xE9"), func(c *Conn, _ *fakeSocket) { _ = c.Close() }, serverClose(1001)},
		{"behind an error", "GE", func(c *Conn, sock *fakeSocket) { c.TryClose(sock) }, serverClose(1002)},
		{"behind a ping", clientFrame(fin|opPing, ""), func(c *Conn, _ *fakeSocket) { _ = c.Close() }, "\x8A\x00" + serverClose(1000)},
	} {
		c, sock, _ := newFake(tc.first)
		_, _ = c.TryRead(sock, make([]byte, 100))
		tc.end(c, sock)
		if got := sock.out.String(); got != tc.want {
			t.Errorf("%s: sent %q, want %q", tc.name, got, tc.want)
		}
		if n, err := c.TryWrite(sock, []byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: a write behind it: %d, %v", tc.name, n, err)
		}
		if got := sock.out.String(); got != tc.want {
			t.Errorf("%s: sent %q behind the close frame", tc.name, got)
		}
		sock.in = [][]byte{[]byte(clientFrame(fin|opClose, "\x03\xE8"))}
		_, _ = c.TryRead(sock, make([]byte, 100))
		if got := sock.out.String(); got != tc.want {
			t.Errorf("%s: sent %q when the client answered", tc.name, got)
		}
	}
}

func TestCloseReachesTheLayerBelow(t *testing.T) {
	t.Parallel()
	sock := &fakeSocket{room: math.MaxInt}
	layer := &fakeLayer{fakeConn: &fakeConn{sock: sock}}
	c := newConn(layer, testMax)
	c.TryClose(sock)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if layer.goodbyes != 1 || layer.closed != 1 || string(crypt(sock.out.Bytes())) != serverClose(1000) {
		t.Errorf("%d goodbyes, %d closed, sent %x", layer.goodbyes, layer.closed, sock.out.Bytes())
	}
}

func TestLayerBelowIsReadWithoutWaiting(t *testing.T) {
	t.Parallel()
	stream := crypt([]byte(clientFrame(fin|opBinary, "hello")))
	sock := &fakeSocket{in: [][]byte{stream[:3], stream[3:]}, room: math.MaxInt}
	c := newConn(&fakeLayer{fakeConn: &fakeConn{sock: sock}}, testMax)
	p := make([]byte, 100)
	if n, err := c.TryRead(sock, p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("got %q, %v", p[:n], err)
	}
	if n, err := c.TryRead(sock, p); n != 0 || err != syscall.EAGAIN {
		t.Errorf("got %d, %v, want EAGAIN", n, err)
	}
}

func TestControlFramesKeepTheWriteDeadline(t *testing.T) {
	t.Parallel()
	c, _, inner := newFake(clientFrame(fin|opPing, ""))
	deadline := time.Unix(1<<40, 0)
	if err := c.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Read(make([]byte, 100))
	if n := len(inner.deadlines); n != 3 || !inner.deadlines[0].Equal(deadline) || !inner.deadlines[2].Equal(deadline) ||
		!inner.deadlines[1].Before(deadline) {
		t.Errorf("write deadlines %v", inner.deadlines)
	}
}

func TestReadIntoNothingReturnsAtOnce(t *testing.T) {
	t.Parallel()
	c, _, _ := newFake(clientFrame(fin|opBinary, "x"))
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}
