package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
)

// open connects to the broker, with TLS and WebSocket if they are asked for.
func open(o options) (net.Conn, error) {
	nc, err := net.Dial("tcp", o.addr)
	if err != nil {
		return nil, err
	}
	if o.tls {
		// The broker is on this machine, and its certificate is nobody's.
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		if err := c.Handshake(); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		nc = c
	}
	if o.websocket {
		return upgrade(nc)
	}
	return nc, nil
}

// webSocket is a client's connection over WebSocket (RFC 6455): what is written is one frame, and control frames are not expected.
type webSocket struct {
	net.Conn
	r    *bufio.Reader
	rest int // bytes of the frame that is read
}

// frameBuffer is small: thousands of connections are idle.
const frameBuffer = 64

func upgrade(nc net.Conn) (net.Conn, error) {
	const request = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
	if _, err := io.WriteString(nc, request); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(nc, frameBuffer)
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, fmt.Errorf("WebSocket: %w", err)
	}
	_ = answer.Body.Close() // there is none
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("WebSocket: answered %s", answer.Status)
	}
	return &webSocket{Conn: nc, r: r}, nil
}

func (w *webSocket) Write(p []byte) (int, error) {
	const binaryFrame, masked, long = 0x82, 0x80, 126
	frame := []byte{binaryFrame, masked | byte(len(p))}
	if len(p) >= long {
		frame = binary.BigEndian.AppendUint16([]byte{binaryFrame, masked | long}, uint16(len(p)))
	}
	frame = append(append(frame, 0, 0, 0, 0), p...) // a mask of zeros changes nothing
	if len(p) > 0xFFFF {
		return 0, fmt.Errorf("a write of %d bytes: want at most %d", len(p), 0xFFFF)
	}
	_, err := w.Conn.Write(frame)
	return len(p), err
}

func (w *webSocket) Read(p []byte) (int, error) {
	for w.rest == 0 {
		var head [2]byte
		if _, err := io.ReadFull(w.r, head[:]); err != nil {
			return 0, err
		}
		size, more := int(head[1]), 0
		switch size {
		case 126:
			more = 2
		case 127:
			more = 8
		}
		if more > 0 {
			size = 0
			for range more {
				b, err := w.r.ReadByte()
				if err != nil {
					return 0, err
				}
				size = size<<8 | int(b)
			}
		}
		if head[0]&0x0f > 2 {
			return 0, fmt.Errorf("a control frame came, %#x", head[0])
		}
		w.rest = size
	}
	n, err := w.r.Read(p[:min(len(p), w.rest)])
	w.rest -= n
	return n, err
}
