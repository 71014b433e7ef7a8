package psk

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
)

// Lengths in bytes of what the key schedule makes (RFC 5246, 7.4.9 and 8.1).
const (
	masterLen = 48
	verifyLen = 12
	randomLen = 32
)

// prf is the pseudo-random function of TLS 1.2 (RFC 5246, 5).
func prf(h func() hash.Hash, secret []byte, label string, seed []byte, n int) []byte {
	mac := hmac.New(h, secret)
	keyed := func(parts ...[]byte) []byte {
		mac.Reset()
		for _, p := range parts {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	seed = append([]byte(label), seed...)
	var out []byte
	for a := keyed(seed); len(out) < n; a = keyed(a) {
		out = append(out, keyed(a, seed)...)
	}
	return out[:n]
}

// premaster joins what ECDHE agreed on with the key (RFC 5489, 2). Without ECDHE (RFC 4279, 2), shared is nil, and
// zeros as many as the key has bytes stand in for it.
func premaster(shared, key []byte) []byte {
	if shared == nil {
		shared = make([]byte, len(key))
	}
	p := make([]byte, 0, 4+len(shared)+len(key))
	p = binary.BigEndian.AppendUint16(p, uint16(len(shared)))
	p = append(p, shared...)
	p = binary.BigEndian.AppendUint16(p, uint16(len(key)))
	return append(p, key...)
}

// schedule is what both sides of a handshake know once they agree, and what the keys come from.
type schedule struct {
	suite        *suite
	clientRandom []byte
	serverRandom []byte
	extended     bool // extended master secret, RFC 7627
	transcript   []byte
	master       []byte
}

func (s *schedule) add(message []byte) { s.transcript = append(s.transcript, message...) }

func (s *schedule) sum() []byte {
	h := s.suite.hash()
	h.Write(s.transcript)
	return h.Sum(nil)
}

// derive makes the master secret; the transcript ends with ClientKeyExchange (RFC 7627, 3 and 4).
func (s *schedule) derive(premaster []byte) {
	if s.extended {
		s.master = prf(s.suite.hash, premaster, "extended master secret", s.sum(), masterLen)
		return
	}
	s.master = prf(s.suite.hash, premaster, "master secret", append(s.clientRandom[:randomLen:randomLen], s.serverRandom...), masterLen)
}

// protectors cut the key block (RFC 5246, 6.3).
func (s *schedule) protectors() (client, server protector) {
	seed := append(s.serverRandom[:randomLen:randomLen], s.clientRandom...)
	macLen, keyLen, ivLen := s.suite.macLen, s.suite.keyLen, s.suite.ivLen
	block := prf(s.suite.hash, s.master, "key expansion", seed, 2*(macLen+keyLen+ivLen))
	cut := func(n int) []byte {
		part := block[:n:n]
		block = block[n:]
		return part
	}
	clientMAC, serverMAC := cut(macLen), cut(macLen)
	clientKey, serverKey := cut(keyLen), cut(keyLen)
	clientIV, serverIV := cut(ivLen), cut(ivLen)
	return s.suite.protect(clientMAC, clientKey, clientIV), s.suite.protect(serverMAC, serverKey, serverIV)
}

const (
	clientFinished = "client finished"
	serverFinished = "server finished"
)

// verifyData is what Finished says of all messages before it.
func (s *schedule) verifyData(label string) []byte {
	return prf(s.suite.hash, s.master, label, s.sum(), verifyLen)
}

// logKey writes the line of the NSS key log format that lets a tool decrypt a recording.
func (s *schedule) logKey(w io.Writer) error {
	if w == nil {
		return nil
	}
	if _, err := fmt.Fprintf(w, "CLIENT_RANDOM %x %x\n", s.clientRandom, s.master); err != nil {
		return fmt.Errorf("tls-psk: write the key log: %w", err)
	}
	return nil
}
