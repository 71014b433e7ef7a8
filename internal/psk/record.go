package psk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// recordType is the content type of a record (RFC 5246, 6.2.1).
type recordType uint8

const (
	recordChangeCipherSpec recordType = 20
	recordAlert            recordType = 21
	recordHandshake        recordType = 22
	recordApplicationData  recordType = 23
)

// Limits of what a peer may send.
const (
	headerLen    = 5
	maxPlaintext = 16384 // content of a record, RFC 5246, 6.2.1
	maxHandshake = 16384 // all handshake messages of a connection together
	maxUseless   = 16    // warnings, and records without content, between records with data
	maxRefusals  = 3     // attempts to renegotiate
	growStep     = 2048  // a record's memory grows by this, as the record arrives
)

// header checks the header of a record, and returns the length of the record with it.
func (c *Conn) header(h []byte) (int, error) {
	typ, version := recordType(h[0]), binary.BigEndian.Uint16(h[1:])
	switch {
	case !c.greeted && (typ != recordHandshake && typ != recordAlert || version>>8 != 3):
		return 0, notTLS(h[:headerLen])
	case typ < recordChangeCipherSpec || typ > recordApplicationData:
		return 0, violates(alertUnexpectedMessage, "a record of type %d", typ)
	case version != version12 && (c.negotiated || c.client != nil && typ == recordHandshake): // a client's first record may have any
		return 0, violates(alertProtocolVersion, "a record of version %#04x, expected that of TLS 1.2", version)
	case version>>8 != 3:
		return 0, violates(alertProtocolVersion, "a record of version %#04x", version)
	}
	n, limit := int(binary.BigEndian.Uint16(h[3:])), maxPlaintext
	if c.in != nil {
		limit += c.in.overhead()
	}
	if n > limit {
		return 0, violates(alertRecordOverflow, "a record of %d bytes, at most %d are allowed", n, limit)
	}
	c.greeted = true
	return headerLen + n, nil
}

// notTLS says what the first bytes of a connection look like.
func notTLS(h []byte) error {
	looks := fmt.Sprintf("bytes that begin with %x", h)
	first := string(h)
	switch {
	case slices.Contains([]string{"GET /", "POST ", "PUT /", "HEAD ", "OPTIO", "CONNE", "DELET", "PATCH", "HTTP/", "PRI *"}, first):
		looks = "an HTTP request: HTTP, or WebSocket without TLS"
		if first == "HTTP/" {
			looks = "an HTTP answer"
		}
	case h[0] == 0x10: // CONNECT; its remaining length has one byte or two, then the protocol's name begins with its length
		if name := h[2:]; name[0] == 0 && (name[1] == 4 || name[1] == 6) || name[1] == 0 && (name[2] == 4 || name[2] == 6) {
			looks = "MQTT without TLS"
		}
	case h[0] == 0x20 && h[1] < 0x80 && h[2] <= 1:
		looks = "MQTT without TLS: a CONNACK"
	case first == "PROXY" || first == "\r\n\r\n\x00":
		looks = "a header of the PROXY protocol"
	case h[0]&0x80 != 0 && h[2] == 1:
		looks = "a hello of SSL 2"
	}
	return fmt.Errorf("%w, got %s", ErrNotTLS, looks)
}

// open decrypts a whole record in place, and counts those that bring nothing.
func (c *Conn) open(record []byte) (recordType, []byte, error) {
	typ, p := recordType(record[0]), record[headerLen:]
	if c.in != nil {
		var err error
		if p, err = c.in.open(typ, p); err != nil {
			return 0, nil, err
		}
	}
	if len(p) > maxPlaintext {
		return 0, nil, violates(alertRecordOverflow, "a record with %d bytes of content, at most %d are allowed", len(p), maxPlaintext)
	}
	if len(p) > 0 {
		if typ == recordApplicationData {
			c.useless = 0
		}
		return typ, p, nil
	}
	if typ != recordApplicationData { // RFC 5246, 6.2.1
		return 0, nil, violates(alertUnexpectedMessage, "a record of type %d without content", typ)
	}
	return typ, p, c.countUseless()
}

func (c *Conn) countUseless() error {
	if c.useless++; c.useless > maxUseless {
		return violates(alertUnexpectedMessage, "more than %d records in a row that bring nothing", maxUseless)
	}
	return nil
}

// fill reads until raw has want bytes. What has arrived stays in raw when the socket fails, or has nothing for now.
func (c *Conn) fill(sock io.Reader, want int) error {
	for len(c.raw) < want {
		c.raw = slices.Grow(c.raw, min(want-len(c.raw), growStep))
		n, err := sock.Read(c.raw[len(c.raw):min(cap(c.raw), want)])
		c.raw = c.raw[:len(c.raw)+n]
		if len(c.raw) == 0 {
			c.raw = nil
		}
		if n == 0 {
			return c.ended(err)
		}
	}
	return nil
}

// ended is the error of a socket that gave nothing. A connection may end between two records, as MQTT says goodbye by itself.
func (c *Conn) ended(err error) error {
	switch {
	case err == nil:
		return io.ErrNoProgress
	case errors.Is(err, io.EOF) && len(c.raw) > 0:
		return io.ErrUnexpectedEOF
	default:
		return err
	}
}

// nextRecord reads one record. The content is the caller's.
func (c *Conn) nextRecord(sock io.Reader) (recordType, []byte, error) {
	if err := c.fill(sock, headerLen); err != nil {
		return 0, nil, err
	}
	n, err := c.header(c.raw)
	if err != nil {
		return 0, nil, err
	}
	if err := c.fill(sock, n); err != nil {
		return 0, nil, err
	}
	record := c.raw
	c.raw = nil
	return c.open(record)
}

// handleAlert returns nil for an alert to be passed over.
func (c *Conn) handleAlert(p []byte) error {
	if len(p) != 2 {
		return violates(alertDecodeError, "an alert of %d bytes", len(p))
	}
	switch level, a := p[0], alert(p[1]); {
	case a == alertCloseNotify:
		return io.EOF
	case level == levelFatal:
		return peerAlert(a)
	case level == levelWarning:
		return c.countUseless()
	default:
		return violates(alertIllegalParameter, "an alert of level %d", level)
	}
}

// collect adds a record's content to the handshake messages.
func (c *Conn) collect(p []byte) error {
	if c.handshakeBytes += len(p); c.handshakeBytes > maxHandshake {
		return violates(alertDecodeError, "more than %d bytes of handshake messages", maxHandshake)
	}
	c.messages = append(c.messages, p...)
	return nil
}

// takeMessage cuts off a handshake message with its header; nil: it is not complete.
func (c *Conn) takeMessage() ([]byte, error) {
	const header = 4
	if len(c.messages) < header {
		return nil, nil
	}
	n := header + int(c.messages[1])<<16 + int(c.messages[2])<<8 + int(c.messages[3])
	if n > maxHandshake {
		return nil, violates(alertDecodeError, "a handshake message of %d bytes, at most %d are allowed", n, maxHandshake)
	}
	if len(c.messages) < n {
		return nil, nil
	}
	m := c.messages[:n:n]
	if c.messages = c.messages[n:]; len(c.messages) == 0 {
		c.messages = nil
	}
	return m, nil
}
