package mosquittodb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// kind is the type of a chunk.
type kind uint32

const (
	kindConfig kind = iota + 1
	kindMessage
	kindDelivery
	kindRetained
	kindSubscription
	kindClient
)

func (k kind) String() string {
	names := [...]string{"", "settings", "message", "delivery", "retained message", "subscription", "client"}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("unknown type %d", uint32(k))
	}
	return names[k]
}

// maxChunk is the longest chunk that can be: the largest packet of MQTT, and beside it three strings and what is fixed.
const maxChunk = 268435455 + 3*65535 + 1024

// source reads the file and knows where it is.
type source struct {
	r      io.Reader
	offset int64
}

// take reads n bytes. What it returns grows with what comes.
func (s *source) take(n int64) ([]byte, error) {
	var b bytes.Buffer
	got, err := io.Copy(&b, io.LimitReader(s.r, n))
	s.offset += got
	if err != nil {
		return nil, fmt.Errorf("offset %d: %w", s.offset, err)
	}
	if got < n {
		return b.Bytes(), io.ErrUnexpectedEOF
	}
	return b.Bytes(), nil
}

// header reads what is before the chunks; io.EOF means that there is nothing at all.
func (s *source) header(db *DB) error {
	p, err := s.take(int64(len(magic)) + 8)
	switch {
	case len(p) == 0 && errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case len(p) < len(magic) || string(p[:len(magic)]) != magic:
		return &Error{0, "this is not a mosquitto.db: it does not begin as one"}
	case err != nil:
		return &Error{s.offset, "the file ends within its header"}
	}
	v := binary.BigEndian.Uint32(p[len(magic)+4:])
	if v < oldestVersion || v > newestVersion {
		return &Error{int64(len(magic)) + 4, fmt.Sprintf("expected format %d to %d, not %d", oldestVersion, newestVersion, v)}
	}
	db.Version = int(v)
	return nil
}

// chunk is one chunk, as far as it is not yet taken apart. After the first mistake everything that is read from it is zero.
type chunk struct {
	kind   kind
	offset int64 // of its header
	length int
	body   []byte
	short  bool
}

// chunk reads the next one; io.EOF means that the file ends here, as it should.
func (s *source) chunk(l layout) (*chunk, error) {
	c := &chunk{offset: s.offset}
	p, err := s.take(int64(l.headerSize()))
	if len(p) == 0 && errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, io.EOF
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &Error{s.offset, fmt.Sprintf("the file ends within the header of the chunk at %d", c.offset)}
	}
	if err != nil {
		return nil, err
	}
	var length uint32
	c.kind, length = l.header(p)
	if c.kind < kindConfig || c.kind > kindClient {
		return nil, &Error{c.offset, fmt.Sprintf("expected a chunk of type %d to %d, not %d", kindConfig, kindClient, uint32(c.kind))}
	}
	if length > maxChunk {
		return nil, &Error{c.offset, fmt.Sprintf("a chunk (%v) of %d bytes: more than can be", c.kind, length)}
	}
	c.body, err = s.take(int64(length))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		missing := int64(length) - int64(len(c.body))
		return nil, &Error{s.offset, fmt.Sprintf("the file ends within the chunk (%v) at %d, %d bytes too early", c.kind, c.offset, missing)}
	}
	c.length = len(c.body)
	return c, err
}

// wrong is a mistake in the chunk.
func (c *chunk) wrong(format string, args ...any) error {
	return &Error{c.offset, fmt.Sprintf("chunk (%v): ", c.kind) + fmt.Sprintf(format, args...)}
}

// done says what was wrong with the chunk's length, if anything.
func (c *chunk) done() error {
	if c.short {
		return c.wrong("its %d bytes are too few for what it should hold", c.length)
	}
	if len(c.body) > 0 {
		return c.wrong("%d bytes more than it should hold", len(c.body))
	}
	return nil
}

func (c *chunk) bytes(n int) []byte {
	if n > len(c.body) {
		c.short, c.body = true, nil
		return nil
	}
	p := c.body[:n:n]
	c.body = c.body[n:]
	return p
}

func (c *chunk) text(n uint16) string { return string(c.bytes(int(n))) }

func (c *chunk) byte() byte {
	if p := c.bytes(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *chunk) uint16() uint16 {
	if p := c.bytes(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (c *chunk) uint32() uint32 {
	if p := c.bytes(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

// identifier is in the byte order of whatever machine, which does not matter.
func (c *chunk) identifier() uint64 {
	if p := c.bytes(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// maxTime is behind every time that a file can have, in seconds: some year after 30000.
const maxTime = 1 << 40

// time reads a time of 4 or 8 bytes in the byte order of whatever machine: in the wrong one it would be out of reach.
func (c *chunk) time(size int) int64 {
	p := c.bytes(size)
	switch {
	case p == nil:
		return 0
	case size == 4: // no reading is out of reach: little-endian, as nearly all machines are
		return int64(binary.LittleEndian.Uint32(p))
	}
	for _, v := range [...]uint64{binary.LittleEndian.Uint64(p), binary.BigEndian.Uint64(p)} {
		if v < maxTime {
			return int64(v)
		}
	}
	c.short = true
	return 0
}
