package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"
)

// MaxTLVs is how many bytes the additional fields of a version 2 header may have in all.
const MaxTLVs = 500

const (
	maxV1     = 107 // the longest line that the protocol allows, with its end
	minV1     = len("PROXY UNKNOWN\r\n")
	fixedV2   = 16  // signature, version and command, family, length
	maxAddrV2 = 216 // two paths of Unix sockets
)

var (
	// ErrLocal is the error of a connection that the load balancer opened for itself, to see whether somebody answers.
	ErrLocal = errors.New("the load balancer only checks whether the listener is alive")
	// ErrNoHeader is the error of a connection that does not begin with a header of the version configured.
	ErrNoHeader = errors.New("no PROXY header")
)

// Header is what a load balancer says about a connection.
type Header struct {
	Source, Destination net.Addr // nil: the load balancer does not know
	TLS                 *TLS     // nil: nothing is said about TLS, or the client does not use it
}

// TLS describes the client's TLS connection with the load balancer.
type TLS struct {
	Version     string // for example "TLSv1.3"
	Cipher      string // for example "TLS_AES_256_GCM_SHA384"; "" if it is not told
	Certificate bool   // the client showed a certificate
	Verified    bool   // and the load balancer verified it
	CommonName  string // the certificate's; "" if it is not told
}

// read reads a header of a version, and not a byte more.
func read(r io.Reader, version int) (*Header, error) {
	bytesOf := readV1
	if version == 2 {
		bytesOf = readV2
	}
	sent, err := bytesOf(r)
	if err != nil {
		return nil, err
	}
	b := sent
	if version == 2 {
		if b, err = widen(sent); err != nil {
			return nil, err
		}
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return nil, fmt.Errorf("bad PROXY header: %w", err)
	}
	switch {
	case int(h.Version) != version:
		return nil, fmt.Errorf("bad PROXY header: version %d; want %d", h.Version, version)
	case h.TransportProtocol.IsDatagram():
		return nil, errors.New("bad PROXY header: it is for datagrams; want a stream")
	case h.Command.IsLocal():
		return &Header{}, nil // version 1: UNKNOWN
	}
	out := &Header{Source: h.SourceAddr, Destination: h.DestinationAddr}
	if a, ok := h.SourceAddr.(*net.UnixAddr); ok && a.Name == "" {
		out.Source = &net.UnixAddr{Name: "@", Net: a.Net} // as package net calls a client without a path
	}
	if a, ok := h.DestinationAddr.(*net.UnixAddr); ok && a.Name == "" {
		out.Destination = nil
	}
	if version == 2 {
		out.TLS, err = fields(h, sent, len(sent)-(len(b)-fixedV2-addresses(b)))
	}
	return out, err
}

// begin reads until b is full, or until it is clear that it does not begin with want.
func begin(r io.Reader, b []byte, want string) error {
	for have := 0; have < len(b); {
		n, err := r.Read(b[have:])
		have += n
		if k := min(have, len(want)); string(b[:k]) != want[:k] {
			return fmt.Errorf("%w: %s", ErrNoHeader, explain(b[:have]))
		}
		if err != nil && have < len(b) {
			if err == io.EOF && have > 0 {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read PROXY header: %w", err)
		}
	}
	return nil
}

// explain says what begins like b.
func explain(b []byte) string {
	const handshake, connect = 0x16, 0x10
	switch {
	case bytes.HasPrefix(b, proxyproto.SIGV1):
		return "it is one of version 1; want version 2"
	case len(b) > 1 && bytes.HasPrefix(proxyproto.SIGV2, b[:min(len(b), len(proxyproto.SIGV2))]):
		return "it is one of version 2; want version 1"
	case b[0] == handshake:
		return "the client begins with TLS"
	case b[0] == connect:
		return "the client begins with MQTT"
	}
	return "the client begins with something else"
}

// readV1 reads a line. No step reads more than the shortest line that can still come.
func readV1(r io.Reader) ([]byte, error) {
	b := make([]byte, minV1, maxV1+1)
	if err := begin(r, b, "PROXY "); err != nil {
		return nil, err
	}
	for !bytes.HasSuffix(b, []byte("\r\n")) {
		if bytes.IndexByte(b, '\n') >= 0 {
			return nil, errors.New("bad PROXY header: a line without carriage return")
		}
		step := 2
		if b[len(b)-1] == '\r' {
			step = 1
		}
		if len(b)+step > maxV1 {
			return nil, fmt.Errorf("bad PROXY header: no end after %d bytes", len(b))
		}
		b = b[:len(b)+step]
		if _, err := io.ReadFull(r, b[len(b)-step:]); err != nil {
			return nil, fmt.Errorf("read PROXY header: %w", err)
		}
	}
	return b, nil
}

func readV2(r io.Reader) ([]byte, error) {
	b := make([]byte, fixedV2)
	if err := begin(r, b, string(proxyproto.SIGV2)); err != nil {
		return nil, err
	}
	if proxyproto.ProtocolVersionAndCommand(b[12]).IsLocal() {
		return nil, ErrLocal
	}
	length := int(binary.BigEndian.Uint16(b[14:]))
	if most := addresses(b) + MaxTLVs; length > most {
		return nil, fmt.Errorf("bad PROXY header: %d bytes; want at most %d: the addresses, and TLVs of %d", length, most, MaxTLVs)
	}
	b = append(b, make([]byte, length)...)
	if _, err := io.ReadFull(r, b[fixedV2:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read PROXY header: %w", err)
	}
	return b, nil
}

// widen gives a version 2 header with a short Unix address the size that it should have. Some load
// balancers send no more of the addresses than the client's path and a NUL: TLVs follow, after more
// NULs or none. Mosquitto takes that.
func widen(b []byte) ([]byte, error) {
	const path = maxAddrV2 / 2
	if b[13]>>4 != familyUnix || len(b) >= fixedV2+maxAddrV2 {
		return b, nil
	}
	client, tlvs, _ := bytes.Cut(b[fixedV2:], []byte{0})
	if len(client) > path {
		return nil, fmt.Errorf("bad PROXY header: a path of %d bytes; want at most %d", len(client), path)
	}
	tlvs = bytes.TrimLeft(tlvs, "\x00") // no TLV has the type 0
	wide := append(make([]byte, 0, fixedV2+maxAddrV2+len(tlvs)), b[:fixedV2]...)
	wide = append(wide, client...)
	wide = append(wide[:fixedV2+maxAddrV2], tlvs...)
	binary.BigEndian.PutUint16(wide[14:], uint16(len(wide)-fixedV2))
	return wide, nil
}

// familyUnix is the family of Unix sockets.
const familyUnix = 3

// addresses is how many bytes the addresses have.
func addresses(b []byte) int {
	switch b[13] >> 4 {
	case 1:
		return 12
	case 2:
		return 36
	case familyUnix:
		return maxAddrV2
	}
	return 0
}

// fields looks at the TLVs. raw is the whole header, as it was sent; they begin at an offset.
func fields(h *proxyproto.Header, raw []byte, offset int) (*TLS, error) {
	all, err := h.TLVs()
	if err != nil {
		return nil, fmt.Errorf("bad PROXY header: %w", err)
	}
	if err := checksum(raw, offset); err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.Type != proxyproto.PP2_TYPE_SSL {
			continue
		}
		ssl, err := tlvparse.SSL(f)
		if err != nil {
			return nil, fmt.Errorf("bad PROXY header: the field about TLS: %w", err)
		}
		if !ssl.ClientSSL() {
			return nil, nil
		}
		out := &TLS{Certificate: ssl.ClientCertConn() || ssl.ClientCertSess()}
		out.Verified = out.Certificate && ssl.Verified() // without a certificate, some send 0 as well
		out.Version, _ = ssl.SSLVersion()
		out.Cipher, _ = ssl.SSLCipher()
		out.CommonName, _ = ssl.ClientCN()
		return out, nil
	}
	return nil, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum verifies the header's checksum if there is one. It is computed with zeros in its own place.
func checksum(raw []byte, at int) error {
	const head, size = 3, 4 // of a TLV and of the checksum
	for at+head <= len(raw) {
		length := int(binary.BigEndian.Uint16(raw[at+1:]))
		if proxyproto.PP2Type(raw[at]) != proxyproto.PP2_TYPE_CRC32C {
			at += head + length
			continue
		}
		if length != size {
			return fmt.Errorf("bad PROXY header: a checksum of %d bytes; want %d", length, size)
		}
		without := bytes.Clone(raw)
		clear(without[at+head : at+head+size])
		if crc32.Checksum(without, castagnoli) != binary.BigEndian.Uint32(raw[at+head:]) {
			return errors.New("bad PROXY header: the checksum is wrong")
		}
		return nil
	}
	return nil
}
