package mqtt

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// wire turns the notation of the tables into bytes: hexadecimal digits, text in
// single quotes, spaces between them without meaning.
func wire(s string) []byte {
	var out []byte
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			panic(err)
		}
		out = append(out, b...)
	}
	return out
}

// A wireCase is one packet and its wire form.
type wireCase struct {
	name     string
	versions []Version
	wire     string
	packet   Packet
	// canonical is the wire form that Append writes, if it is not wire.
	canonical string
}

var (
	only31   = []Version{V31}
	only311  = []Version{V311}
	only5    = []Version{V5}
	before5  = []Version{V31, V311}
	since311 = []Version{V311, V5}
	every    = []Version{V31, V311, V5}
)

// props builds Properties for the tables.
func props(build func(p *Properties)) (p Properties) {
	build(&p)
	return p
}

func testWire(t *testing.T, cases []wireCase) {
	t.Helper()
	for _, c := range cases {
		for _, v := range c.versions {
			t.Run(c.name+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				frame := wire(c.wire)
				testDecode(t, v, frame, c.packet)
				want := frame
				if c.canonical != "" {
					want = wire(c.canonical)
				}
				if got := c.packet.Append([]byte("before"), v); !bytes.Equal(got, append([]byte("before"), want...)) {
					t.Errorf("Append:\n got %x\nwant %x", got[len("before"):], want)
				}
			})
		}
	}
}

func testDecode(t *testing.T, v Version, frame []byte, want Packet) {
	t.Helper()
	cut, rest, err := Split(append(slices.Clone(frame), "next"...), 0)
	if err != nil || !bytes.Equal(cut, frame) || string(rest) != "next" {
		t.Fatalf("Split: %x, %q, %v", cut, rest, err)
	}
	got, err := Decode(v, cut)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Decode:\n got %+v\nwant %+v", got, want)
	}
	// Every shorter frame is refused, whatever it lacks.
	for n := range frame {
		if _, err := Decode(v, frame[:n]); err == nil {
			t.Errorf("Decode accepts the first %d bytes", n)
		}
	}
}

// testReuse checks that nothing of an earlier packet survives in a reused struct.
func testReuse(t *testing.T, cases []wireCase) {
	t.Helper()
	for _, first := range cases {
		p := New(first.packet.Type())
		if err := p.Decode(first.versions[0], wire(first.wire)); err != nil {
			t.Fatal(err)
		}
		for _, second := range cases {
			if reflect.TypeOf(second.packet) != reflect.TypeOf(p) {
				continue
			}
			v := second.versions[len(second.versions)-1]
			if err := p.Decode(v, wire(second.wire)); err != nil {
				t.Fatal(err)
			}
			got, want := p.Append(nil, v), second.packet.Append(nil, v)
			if !bytes.Equal(got, want) {
				t.Errorf("%s after %s:\n got %x\nwant %x", second.name, first.name, got, want)
			}
		}
	}
}

func allCases() [][]wireCase {
	return [][]wireCase{
		connectCases, connackCases, publishCases, ackCases, subscribeCases, subackCases, unsubscribeCases,
		unsubackCases, pingCases, disconnectCases, authCases,
	}
}

func TestReusedStructKeepsNothing(t *testing.T) {
	t.Parallel()
	for _, cases := range allCases() {
		testReuse(t, cases)
	}
}

// TestTruncatedBodyIsMalformed shortens each packet and its remaining length alike,
// so that the body ends early inside a frame that is whole.
func TestTruncatedBodyIsMalformed(t *testing.T) {
	t.Parallel()
	for _, cases := range allCases() {
		for _, c := range cases {
			v := c.versions[len(c.versions)-1]
			whole := wire(c.wire)
			_, size, _ := varint(whole[1:])
			full := whole[1+size:]
			for n := range full {
				frame := appendVarint([]byte{whole[0]}, n)
				frame = append(frame, full[:n]...)
				p, err := Decode(v, frame)
				if err == nil {
					// Some packets have shorter forms; then what was read must be what is written.
					again, err := Decode(versionOf(p, v), p.Append(nil, versionOf(p, v)))
					if err != nil || !reflect.DeepEqual(p, again) {
						t.Errorf("%s cut to %d: %+v, again %+v, %v", c.name, n, p, again, err)
					}
				}
			}
		}
	}
}

// versionOf returns the version that p is written in: CONNECT states its own.
func versionOf(p Packet, v Version) Version {
	if c, ok := p.(*Connect); ok {
		return c.Version
	}
	return v
}

func TestNewMakesEachType(t *testing.T) {
	t.Parallel()
	for typ := CONNECT; typ <= AUTH; typ++ {
		p := New(typ)
		if p == nil || p.Type() != typ {
			t.Errorf("New(%v) = %v", typ, p)
		}
	}
	for _, typ := range []Type{0, 16} {
		if p := New(typ); p != nil {
			t.Errorf("New(%d) = %v", typ, p)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		V31.String(): "3.1", V311.String(): "3.1.1", V5.String(): "5.0", Version(9).String(): "unknown",
		CONNECT.String(): "CONNECT", AUTH.String(): "AUTH", UNSUBACK.String(): "UNSUBACK",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if Type(0).String() != "unknown" || Type(16).String() != "unknown" {
		t.Errorf("%v %v", Type(0), Type(16))
	}
}
