package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// clientFrame encodes a frame in the most literal way.
func clientFrame(first byte, payload string, key ...byte) string {
	if key == nil {
		key = []byte{0x11, 0xF2, 0x33, 0xA4}
	}
	b := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		b = append(b, maskBit|byte(n))
	case n <= 65535:
		b = append(b, maskBit|126, byte(n>>8), byte(n))
	default:
		b = append(b, maskBit|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return string(b)
}

func serverClose(code uint16) string { return string(appendClose(nil, code)) }

// outcome is all that a decoder has to say about a stream.
type outcome struct{ payload, answer, err string }

// decodeAll runs a new decoder on pieces.
func decodeAll(limit int64, pieces ...string) outcome {
	d := decoder{max: limit}
	var payload []byte
	for _, piece := range pieces {
		p := []byte(piece)
		payload = append(payload, p[:d.decode(p)]...)
	}
	return outcome{string(payload), string(d.answer), fmt.Sprint(d.err)}
}

const (
	fin      = finBit
	testMax  = 70_000
	maxShort = 125
)

type decoderCase struct {
	name, stream, payload, answer string
	code                          uint16 // of the error; 0: none, 1: io.EOF
}

// decoderCases are streams and what must come of them.
func decoderCases() []decoderCase {
	long, longer := strings.Repeat("0123456789", 30), strings.Repeat("abcdefg", 9999)
	return []decoderCase{
		{name: "nothing"},
		{name: "one frame", stream: clientFrame(fin|opBinary, "abc"), payload: "abc"},
		{name: "an empty frame", stream: clientFrame(fin|opBinary, "") + clientFrame(fin|opBinary, "x"), payload: "x"},
		{
			name: "frames of all length codes", payload: strings.Repeat("x", maxShort) + long + longer,
			stream: clientFrame(fin|opBinary, strings.Repeat("x", maxShort)) + clientFrame(fin|opBinary, long) + clientFrame(fin|opBinary, longer),
		},
		{
			name: "a fragmented message", payload: "abcdef",
			stream: clientFrame(opBinary, "ab") + clientFrame(opContinuation, "cde") + clientFrame(fin|opContinuation, "f"),
		},
		{name: "a fragmented message of nothing", payload: "y", stream: clientFrame(opBinary, "") + clientFrame(opContinuation, "") +
			clientFrame(fin|opContinuation, "") + clientFrame(fin|opBinary, "y")},
		{
			name: "control frames within a message", payload: "abcd", answer: "\x8A\x04ping\x8A\x00",
			stream: clientFrame(opBinary, "ab") + clientFrame(fin|opPing, "ping") + clientFrame(fin|opPong, "?") +
				clientFrame(fin|opPing, "") + clientFrame(fin|opContinuation, "cd"),
		},
		{
			name: "ping of 125 bytes", stream: clientFrame(fin|opPing, strings.Repeat("p", 125)),
			answer: "\x8A\x7D" + strings.Repeat("p", 125),
		},
		{
			name: "close", stream: clientFrame(fin|opBinary, "a") + clientFrame(fin|opClose, "\x03\xE8bye") + clientFrame(fin|opBinary, "late"),
			payload: "a", answer: serverClose(1000), code: 1,
		},
		{name: "close without code", stream: clientFrame(fin|opClose, ""), answer: "\x88\x00", code: 1},
		{name: "close with a private code", stream: clientFrame(fin|opClose, "\x12\x34"), answer: serverClose(0x1234), code: 1},
		{
			name: "close within a message", stream: clientFrame(opBinary, "a") + clientFrame(fin|opClose, "\x03\xE9"),
			payload: "a", answer: serverClose(1001), code: 1,
		},
		{name: "close of one byte", stream: clientFrame(fin|opClose, "\x03"), code: closeProtocol},
		{name: "close code 1005", stream: clientFrame(fin|opClose, "\x03\xED"), code: closeProtocol},
		{name: "close code 999", stream: clientFrame(fin|opClose, "\x03\xE7"), code: closeProtocol},
		{name: "close code 2000", stream: clientFrame(fin|opClose, "\x07\xD0"), code: closeProtocol},
		{name: "close code 5000", stream: clientFrame(fin|opClose, "\x13\x88"), code: closeProtocol},
		{name: "close reason not UTF-8", stream: clientFrame(fin|opClose, "\x03\xE8\xFF"), code: closeNotUTF8},
		{name: "text", stream: clientFrame(fin|opBinary, "a") + clientFrame(fin|opText, "b"), payload: "a", code: closeUnsupported},
		{name: "not masked", stream: "\x82\x01a", code: closeProtocol},
		{name: "reserved bit 1", stream: clientFrame(fin|0x40|opBinary, "a"), code: closeProtocol},
		{name: "reserved bit 3", stream: clientFrame(fin|0x10|opPing, "a"), code: closeProtocol},
		{name: "opcode 3", stream: clientFrame(fin|3, "a"), code: closeProtocol},
		{name: "opcode 7", stream: clientFrame(fin|7, "a"), code: closeProtocol},
		{name: "opcode 11", stream: clientFrame(fin|11, "a"), code: closeProtocol},
		{name: "opcode 15", stream: clientFrame(fin|15, "a"), code: closeProtocol},
		{name: "fragmented ping", stream: clientFrame(opPing, "a"), code: closeProtocol},
		{name: "ping of 126 bytes", stream: clientFrame(fin|opPing, strings.Repeat("p", 126)), code: closeProtocol},
		{name: "continuation of nothing", stream: clientFrame(fin|opContinuation, "a"), code: closeProtocol},
		{
			name: "continuation of a complete message", payload: "a",
			stream: clientFrame(fin|opBinary, "a") + clientFrame(fin|opContinuation, "b"), code: closeProtocol,
		},
		{
			name: "message within a message", payload: "a",
			stream: clientFrame(opBinary, "a") + clientFrame(fin|opBinary, "b"), code: closeProtocol,
		},
		{name: "16 bits for a length of 125", stream: "\x82\xFE\x00\x7D____", code: closeProtocol},
		{name: "64 bits for a length of 65535", stream: "\x82\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF____", code: closeProtocol},
		{name: "64 bits with the highest set", stream: "\x82\xFF\x80\x00\x00\x00\x00\x01\x00\x00____", code: closeProtocol},
		{name: "all 64 bits set", stream: "\x82\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF____", code: closeProtocol},
		{name: "just too long", stream: "\x82\xFF\x00\x00\x00\x00\x00\x01\x11\x71____", code: closeTooBig},
		{name: "a terabyte", stream: "\x82\xFF\x00\x00\x01\x00\x00\x00\x00\x00____", code: closeTooBig},
		{name: "an unfinished header", stream: clientFrame(fin|opBinary, "a") + "\x82\xFE\x01", payload: "a"},
		{name: "an unfinished payload", stream: clientFrame(fin|opBinary, "abc")[:8], payload: "ab"},
	}
}

func TestDecoderGivesTheSameForAStreamInPieces(t *testing.T) {
	t.Parallel()
	for _, tc := range decoderCases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			want := outcome{tc.payload, tc.answer, "<nil>"}
			whole := decodeAll(testMax, tc.stream)
			switch tc.code {
			case 0:
			case 1:
				want.err = io.EOF.Error()
			default:
				want.answer, want.err = serverClose(tc.code), whole.err
				if !strings.HasSuffix(whole.err, fmt.Sprintf("(close code %d)", tc.code)) {
					t.Errorf("error %q, want one with close code %d", whole.err, tc.code)
				}
			}
			if whole != want {
				t.Fatalf("in one piece:\n got %.200q\nwant %.200q", whole, want)
			}
			for at := 0; at <= len(tc.stream); at++ {
				if at == 600 { // all headers are before it; what follows is a long payload
					at = max(at, len(tc.stream)-20)
				}
				if got := decodeAll(testMax, tc.stream[:at], tc.stream[at:]); got != want {
					t.Fatalf("split at %d:\n got %.200q\nwant %.200q", at, got, want)
				}
			}
			if got := decodeAll(testMax, strings.Split(tc.stream, "")...); got != want {
				t.Fatalf("byte by byte:\n got %.200q\nwant %.200q", got, want)
			}
		})
	}
}

func TestFrameOfExactlyTheLimitIsTaken(t *testing.T) {
	t.Parallel()
	payload := strings.Repeat("x", testMax)
	if got := decodeAll(testMax, clientFrame(fin|opBinary, payload)); got.payload != payload || got.err != "<nil>" {
		t.Errorf("%d bytes, error %s", len(got.payload), got.err)
	}
}

func TestPongsAreBoundedAndTheNewestSurvives(t *testing.T) {
	t.Parallel()
	var stream strings.Builder
	for i := range 1000 {
		stream.WriteString(clientFrame(fin|opPing, fmt.Sprintf("ping %d", i)))
	}
	got := decodeAll(testMax, stream.String())
	if len(got.answer) > maxAnswers || !strings.HasSuffix(got.answer, "\x8A\x08ping 999") {
		t.Errorf("%d bytes of answers, which end in %.20q", len(got.answer), got.answer[max(0, len(got.answer)-10):])
	}
}

// TestDecoderGivesBackWhatWasEncoded splits random bytes into random messages, fragments and pieces.
func TestDecoderGivesBackWhatWasEncoded(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		var stream string
		var payload []byte
		open := false
		for range rng.IntN(20) {
			part := make([]byte, rng.IntN([]int{4, 200, 3000, 70_000}[rng.IntN(4)]))
			fill(rng, part)
			payload = append(payload, part...)
			first := byte(opBinary)
			if open {
				first = opContinuation
			}
			if open = rng.IntN(2) == 0; !open {
				first |= fin
			}
			key := binary.LittleEndian.AppendUint32(nil, rng.Uint32())
			stream += clientFrame(first, string(part), key...)
			if rng.IntN(5) == 0 {
				stream += clientFrame(fin|opPong, "whatever", key...)
			}
		}
		d := decoder{max: testMax}
		var got []byte
		for rest := []byte(stream); len(rest) > 0; {
			piece := rest[:min(len(rest), 1+rng.IntN(5000))]
			rest = rest[len(piece):]
			got = append(got, piece[:d.decode(piece)]...)
		}
		if d.err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("seed %d: got %d bytes, error %v, want %d bytes", seed, len(got), d.err, len(payload))
		}
	}
}

// fill writes random bytes.
func fill(rng *rand.Rand, p []byte) {
	for i := 0; i < len(p); i += 8 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], rng.Uint64())
		copy(p[i:], b[:])
	}
}

func TestUnmaskIsRightAtAnyLengthAndPlace(t *testing.T) {
	t.Parallel()
	for size := range 100 {
		for gap := range 40 {
			buf := make([]byte, gap+size)
			for i := range buf {
				buf[i] = byte(i * 7)
			}
			key := [4]byte{0x80, 0x01, 0xFE, 0x5A}
			want := make([]byte, size)
			for i := range want {
				want[i] = buf[gap+i] ^ key[i%4]
			}
			next := unmask(buf[:size], buf[gap:], binary.LittleEndian.Uint32(key[:]))
			if !bytes.Equal(buf[:size], want) {
				t.Fatalf("%d bytes, %d apart: got %x, want %x", size, gap, buf[:size], want)
			}
			if byte(next) != key[size%4] {
				t.Fatalf("%d bytes: the next key byte is %x, want %x", size, byte(next), key[size%4])
			}
		}
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	stream := []byte(clientFrame(fin|opBinary, strings.Repeat("x", 64)))
	p := make([]byte, len(stream))
	d := decoder{max: testMax}
	if n := testing.AllocsPerRun(100, func() {
		copy(p, stream)
		d.decode(p)
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func TestErrorNamesCode(t *testing.T) {
	t.Parallel()
	d := decoder{max: testMax}
	d.decode([]byte("GE"))
	var err *Error
	if !errors.As(d.err, &err) || err.Code != closeProtocol {
		t.Errorf("got %v", d.err)
	}
}
