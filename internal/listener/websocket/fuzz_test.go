package websocket

import (
	"errors"
	"math"
	"testing"
)

// FuzzRead feeds arbitrary bytes in arbitrary pieces to Read and to TryRead, with buffers of arbitrary size: both must
// give what the decoder makes of the whole.
func FuzzRead(f *testing.F) {
	for _, tc := range decoderCases() {
		if len(tc.stream) < 1000 {
			f.Add([]byte(tc.stream), []byte{1, 5, 200}, uint16(100))
		}
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte, buffer uint16) {
		const limit = 5000
		whole := decodeAll(limit, string(stream))
		var pieces [][]byte
		for rest, i := stream, 0; len(rest) > 0; i++ {
			n := len(rest)
			if len(sizes) > 0 {
				n = min(n, 1+int(sizes[i%len(sizes)]))
			}
			pieces = append(pieces, rest[:n:n])
			rest = rest[n:]
		}
		for _, try := range []bool{false, true} {
			sock := &fakeSocket{in: append([][]byte(nil), pieces...), room: math.MaxInt}
			c := newConn(&fakeConn{sock: sock}, limit)
			got, err := readAll(c, sock, 1+int(buffer), try)
			if got != whole.payload {
				t.Fatalf("try %v: got %q, want %q", try, got, whole.payload)
			}
			var wsErr *Error
			if errors.As(err, &wsErr) && wsErr.Error() != whole.err || wsErr == nil && whole.err != "<nil>" && whole.err != "EOF" {
				t.Fatalf("try %v: error %v, want %v", try, err, whole.err)
			}
			answers := parseServer(t, sock.out.Bytes())
			if len(stream) <= maxAnswers && sock.out.String() != whole.answer { // beyond, both drop, but not the same
				t.Fatalf("try %v: answers %q, want %q", try, answers, whole.answer)
			}
		}
	})
}
