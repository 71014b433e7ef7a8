package psk

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/subtle"
	"slices"
)

// groups are in order of preference.
var groups = []groupID{groupX25519, groupP256}

func (g groupID) curve() ecdh.Curve {
	switch g {
	case groupX25519:
		return ecdh.X25519()
	case groupP256:
		return ecdh.P256()
	default:
		return nil
	}
}

// agree is ECDHE with the peer's public key, which it checks: a point must be on the curve, and the result must not be zero (RFC 8422, 5.10 and 5.11).
func agree(own *ecdh.PrivateKey, point []byte) ([]byte, error) {
	peer, err := own.Curve().NewPublicKey(point)
	if err == nil {
		var shared []byte
		if shared, err = own.ECDH(peer); err == nil {
			return shared, nil
		}
	}
	return nil, violates(alertIllegalParameter, "an ECDHE public key of no use")
}

func newRandom() []byte {
	p := make([]byte, randomLen)
	_, _ = rand.Read(p) // never fails
	return p
}

// readMessage returns the body of the next handshake message, which must be of one of the types, and adds it to the transcript.
// Messages may be spread over records, and records may hold several.
func (c *Conn) readMessage(s *schedule, types ...messageType) (messageType, []byte, error) {
	for {
		m, err := c.takeMessage()
		if err != nil {
			return 0, nil, err
		}
		if m != nil {
			typ := messageType(m[0])
			if !slices.Contains(types, typ) {
				return 0, nil, violates(alertUnexpectedMessage, "a handshake message of type %d, expected one of %d", typ, types)
			}
			if typ != typeFinished { // which speaks of the messages before it
				s.add(m)
			}
			return typ, m[4:], nil
		}
		typ, p, err := c.nextRecord(c.inner)
		if err != nil {
			return 0, nil, err
		}
		switch typ {
		case recordHandshake:
			err = c.collect(p)
		case recordAlert:
			err = c.handleAlert(p)
		default:
			err = violates(alertUnexpectedMessage, "a record of type %d amid the handshake", typ)
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// readFinished reads ChangeCipherSpec, from which on the peer's records are encrypted, and Finished.
func (c *Conn) readFinished(s *schedule, label string, in protector) error {
	for changed := false; !changed; {
		typ, p, err := c.nextRecord(c.inner)
		if err != nil {
			return err
		}
		switch {
		case typ == recordAlert:
			if err := c.handleAlert(p); err != nil {
				return err
			}
		case typ != recordChangeCipherSpec:
			return violates(alertUnexpectedMessage, "a record of type %d, expected ChangeCipherSpec", typ)
		case len(p) != 1 || p[0] != 1:
			return violates(alertDecodeError, "a malformed ChangeCipherSpec")
		case len(c.messages) > 0: // nothing may begin in the clear and go on encrypted
			return violates(alertUnexpectedMessage, "ChangeCipherSpec in the middle of a handshake message")
		default:
			changed = true
		}
	}
	c.in = in
	_, body, err := c.readMessage(s, typeFinished)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(body, s.verifyData(label)) != 1 {
		return violates(alertDecryptError, "the peer's Finished does not fit the handshake")
	}
	if len(c.messages) > 0 {
		return violates(alertUnexpectedMessage, "a handshake message behind Finished")
	}
	s.add(message12(body))
	return nil
}

// message12 is Finished with its header.
func message12(verifyData []byte) []byte {
	return append([]byte{byte(typeFinished), 0, 0, byte(len(verifyData))}, verifyData...)
}

// say seals a handshake message and adds it to the transcript.
func (c *Conn) say(s *schedule, m []byte) {
	s.add(m)
	c.seal(recordHandshake, m)
}

// sayFinished seals ChangeCipherSpec, from which on records are encrypted, and Finished, and writes all that is sealed.
func (c *Conn) sayFinished(s *schedule, label string, out protector) error {
	c.seal(recordChangeCipherSpec, []byte{1})
	c.out = out
	c.say(s, message12(s.verifyData(label)))
	return c.flush(c.inner)
}
