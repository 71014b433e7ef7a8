package websocket

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"
)

// Opcodes (RFC 6455, 5.2). Those from 8 on are of control frames.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// Bits of a header's first two bytes.
const (
	finBit  = 0x80
	rsvBits = 0x70
	maskBit = 0x80
)

// maxControl is the most bytes that the payload of a control frame may have (RFC 6455, 5.5).
const maxControl = 125

// maxAnswers bounds the answers to control frames that wait to be sent, in bytes. When they get more, the oldest pongs are
// dropped: only the newest ping must be answered (RFC 6455, 5.5.3).
const maxAnswers = 1024

// Close codes (RFC 6455, 7.4.1).
const (
	closeNormal      = 1000
	closeProtocol    = 1002
	closeUnsupported = 1003
	closeNoCode      = 1005 // stands for a close frame without a code; never sent
	closeNotUTF8     = 1007
	closeTooBig      = 1009
)

// Error is a breach of RFC 6455, or of a limit, by a client. Reading returns it once the close frame with its code is on
// its way.
type Error struct {
	Code uint16 // the close code
	Text string // what was expected and what came
}

func (e *Error) Error() string { return fmt.Sprintf("websocket: %s (close code %d)", e.Text, e.Code) }

// decoder turns the bytes that a client sends into the payload of its binary frames. It does no I/O.
type decoder struct {
	max        int64    // of a data frame's payload
	left       int64    // bytes of the frame's payload that are still to come
	key        uint32   // masking key; the next byte's part of it is the lowest
	head       [14]byte // a header, as far as it has arrived
	have       uint8    // bytes in head; 0 and left == 0: between frames
	op         uint8    // of the frame whose payload comes
	body       bool     // the header is complete and the payload comes
	fragmented bool     // a message has begun, and its last frame has not
	closing    bool     // a close frame is among the answers
	control    []byte   // payload of a control frame, as far as it has arrived; nil: none
	answer     []byte   // control frames to be sent
	err        error    // what ended decoding: io.EOF after a close frame, or *Error
}

// decode decodes p in place: what p held of binary frames' payload is in its first n bytes then. The rest of p is used up.
// After the end, which d.err tells, p is ignored.
func (d *decoder) decode(p []byte) (n int) {
	for i := 0; d.err == nil; {
		if !d.body {
			if i == len(p) {
				break
			}
			i += d.header(p[i:])
			continue // the payload may be empty
		}
		k := int(min(int64(len(p)-i), d.left))
		switch {
		case d.op >= opClose:
			m := len(d.control)
			d.control = append(d.control, p[i:i+k]...)
			d.key = unmask(d.control[m:], d.control[m:], d.key)
		default:
			d.key = unmask(p[n:n+k], p[i:i+k], d.key)
			n += k
		}
		i += k
		d.left -= int64(k)
		if d.left > 0 {
			break
		}
		d.body = false
		if d.op >= opClose {
			d.handleControl()
		}
	}
	return n
}

// header takes bytes of a header from p and returns how many. It judges as soon as it can.
func (d *decoder) header(p []byte) (n int) {
	if d.have < 2 {
		n = copy(d.head[d.have:2], p)
		d.have += uint8(n)
		if d.have < 2 || !d.judge(d.head[0], d.head[1]) {
			return n
		}
	}
	need := 2 + extended(d.head[1]) + 4
	k := copy(d.head[d.have:need], p[n:])
	d.have += uint8(k)
	if int(d.have) == need {
		d.begin()
	}
	return n + k
}

// extended is how many bytes follow the second one for the length.
func extended(second byte) int {
	switch second &^ maskBit {
	case 126:
		return 2
	case 127:
		return 8
	}
	return 0
}

// judge looks at the first two bytes of a header and reports whether the frame is allowed here.
func (d *decoder) judge(first, second byte) bool {
	op, fin := first&0x0F, first&finBit != 0
	switch {
	case first&rsvBits != 0:
		return d.fail(closeProtocol, "a reserved bit is set, and no extension was negotiated") // RFC 6455, 5.2
	case op > opBinary && op < opClose, op > opPong:
		return d.fail(closeProtocol, fmt.Sprintf("opcode %d is reserved", op))
	case second&maskBit == 0:
		return d.fail(closeProtocol, "a client's frame must be masked") // RFC 6455, 5.1
	case op == opText:
		return d.fail(closeUnsupported, "a text frame came, only binary frames carry MQTT") // [MQTT-6.0.0-1]
	case op >= opClose && !fin:
		return d.fail(closeProtocol, "a control frame must not be fragmented") // RFC 6455, 5.5
	case op >= opClose && second&^maskBit > maxControl:
		return d.fail(closeProtocol, "a control frame must not exceed 125 bytes") // RFC 6455, 5.5
	case op == opContinuation && !d.fragmented:
		return d.fail(closeProtocol, "a continuation frame came, and no message had begun") // RFC 6455, 5.4
	case op == opBinary && d.fragmented:
		return d.fail(closeProtocol, "a new message began within another") // RFC 6455, 5.4
	}
	return true
}

// begin reads the complete header in head, and leaves it.
func (d *decoder) begin() {
	d.op = d.head[0] & 0x0F
	if d.op < opClose {
		d.fragmented = d.head[0]&finBit == 0
	}
	length, least := uint64(d.head[1]&^maskBit), uint64(0)
	switch length {
	case 126:
		length, least = uint64(binary.BigEndian.Uint16(d.head[2:])), 126
	case 127:
		length, least = binary.BigEndian.Uint64(d.head[2:]), 1<<16
	}
	d.key = binary.LittleEndian.Uint32(d.head[d.have-4:])
	d.have = 0
	switch {
	case length < least:
		d.fail(closeProtocol, fmt.Sprintf("the length %d is not encoded as short as possible", length)) // RFC 6455, 5.2
	case length > 1<<63-1:
		d.fail(closeProtocol, "the highest bit of a length must be 0") // RFC 6455, 5.2
	case int64(length) > d.max && d.op < opClose:
		d.fail(closeTooBig, fmt.Sprintf("a frame of %d bytes exceeds the limit of %d", length, d.max))
	default:
		d.left, d.body = int64(length), true
	}
}

// handleControl handles the complete control frame in control.
func (d *decoder) handleControl() {
	p := d.control
	d.control = nil
	switch d.op {
	case opPing: // RFC 6455, 5.5.2
		if len(d.answer)+2+len(p) > maxAnswers {
			d.answer = d.answer[:0]
		}
		d.answer = append(d.answer, finBit|opPong, byte(len(p)))
		d.answer = append(d.answer, p...)
	case opClose:
		d.handleClose(p)
	}
}

// handleClose answers a close frame (RFC 6455, 5.5.1), whose payload is nothing, or a code and a reason.
func (d *decoder) handleClose(p []byte) {
	code := uint16(closeNoCode)
	if len(p) >= 2 {
		code = binary.BigEndian.Uint16(p)
	}
	switch {
	case len(p) == 1:
		d.fail(closeProtocol, "a close frame of one byte")
	case len(p) >= 2 && !validCode(code):
		d.fail(closeProtocol, fmt.Sprintf("the close code %d must not be sent", code))
	case len(p) > 2 && !utf8.Valid(p[2:]):
		d.fail(closeNotUTF8, "the reason in a close frame is not UTF-8")
	default:
		d.end(code, io.EOF)
	}
}

// validCode reports whether a peer may send a close code (RFC 6455, 7.4; those up to 1014 are registered with IANA).
func validCode(code uint16) bool {
	switch code {
	case 1004, closeNoCode, 1006:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// fail ends decoding with a close frame; it returns false.
func (d *decoder) fail(code uint16, text string) bool {
	d.end(code, &Error{code, text})
	return false
}

func (d *decoder) end(code uint16, err error) {
	d.answer = appendClose(d.answer, code)
	d.closing, d.err = true, err
	d.body, d.left, d.control = false, 0, nil
}

// appendClose appends a close frame with a code.
func appendClose(dst []byte, code uint16) []byte {
	if code == closeNoCode {
		return append(dst, finBit|opClose, 0)
	}
	return binary.BigEndian.AppendUint16(append(dst, finBit|opClose, 2), code)
}

// appendHeader appends the header of a binary frame from a server: whole message, not masked.
func appendHeader(dst []byte, length int) []byte {
	dst = append(dst, finBit|opBinary)
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
}
