package psk

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
)

// protocolMQTT is the only protocol that a server chooses by ALPN.
const protocolMQTT = "mqtt"

// serve is the server's handshake.
func (c *Conn) serve() error {
	if err := c.server.Check(); err != nil {
		return errors.Join(violates(alertInternalError, "wrong config"), err)
	}
	s := &schedule{serverRandom: newRandom()}
	private, err := c.answerHello(s)
	if err != nil {
		return err
	}
	refused, err := c.readKeyExchange(s, private)
	if err != nil {
		return err
	}
	in, out := s.protectors()
	if err := c.readFinished(s, clientFinished, in); err != nil {
		if v, ok := errors.AsType[*violation](err); ok && (v.alert == alertBadRecordMAC || v.alert == alertDecryptError) {
			return errors.Join(refused, err)
		}
		return err
	}
	if !refused.Known { // the chance that a random key was guessed
		return errors.Join(refused, errMAC)
	}
	c.state.Identity = refused.Identity
	return c.sayFinished(s, serverFinished, out)
}

// answerHello reads ClientHello, and writes what ends with ServerHelloDone. It returns the private key of ECDHE, or nil.
func (c *Conn) answerHello(s *schedule) (*ecdh.PrivateKey, error) {
	_, body, err := c.readMessage(s, typeClientHello)
	if err != nil {
		return nil, err
	}
	var hello clientHello
	if err := hello.parse(body); err != nil {
		return nil, err
	}
	if err := checkVersion(&hello); err != nil {
		return nil, err
	}
	s.clientRandom = hello.random
	var group groupID
	if s.suite, group, err = c.server.pick(&hello); err != nil {
		return nil, err
	}
	if len(c.messages) > 0 {
		return nil, violates(alertUnexpectedMessage, "a handshake message behind ClientHello")
	}
	c.negotiated = true
	s.extended = hello.extendedMaster
	answer := c.answer(s, &hello)
	c.say(s, answer.marshal())
	exchange := keyExchange{name: []byte(c.server.Hint)}
	var private *ecdh.PrivateKey
	if s.suite.ecdhe {
		if private, err = group.curve().GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
		exchange.group, exchange.point = group, private.PublicKey().Bytes()
	}
	if s.suite.ecdhe || c.server.Hint != "" { // RFC 4279, 2: not sent for nothing
		c.say(s, exchange.marshal(typeServerKeyExchange))
	}
	c.say(s, message(typeServerHelloDone, nothing))
	return private, c.flush(c.inner)
}

func (c *Conn) answer(s *schedule, hello *clientHello) *serverHello {
	answer := &serverHello{version: version12, random: s.serverRandom, suite: s.suite.id}
	e := &answer.extensions
	if hello.present(extRenegotiationInfo) || slices.Contains(hello.suites, suiteEmptyRenegotiation) { // RFC 5746, 3.6
		e.has = append(e.has, extRenegotiationInfo)
	}
	if s.extended {
		e.has, e.extendedMaster = append(e.has, extExtendedMaster), true
	}
	if s.suite.cbc() { // RFC 7366, 3: never with AEAD
		e.has, e.encryptThenMAC = append(e.has, extEncryptThenMAC), true
	}
	if s.suite.ecdhe && len(hello.formats) > 0 {
		e.has, e.formats = append(e.has, extPointFormats), []byte{formatPlain}
	}
	if slices.Contains(hello.protocols, protocolMQTT) {
		e.has, e.protocols = append(e.has, extALPN), []string{protocolMQTT}
		c.state.Protocol = protocolMQTT
	}
	c.state.Version, c.state.Suite, c.state.ExtendedMasterSecret = version12, s.suite.id, s.extended
	return answer
}

// checkVersion looks for TLS 1.2, in supported_versions if a client of TLS 1.3 sends that.
func checkVersion(hello *clientHello) error {
	has := hello.version >= version12
	if hello.present(extSupportedVersions) {
		has = slices.Contains(hello.versions, version12)
	}
	switch {
	case has:
		return nil
	case hello.version < version12 && slices.Contains(hello.suites, suiteFallback): // RFC 7507, 3
		return violates(alertInappropriateFallback, "the client fell back to a version before TLS 1.2")
	default:
		return violates(alertProtocolVersion, "expected a client with TLS 1.2, the only version with a pre-shared key here")
	}
}

// pick chooses a suite, and for ECDHE a group.
func (c *ServerConfig) pick(hello *clientHello) (*suite, groupID, error) {
	var group groupID
	if !hello.present(extPointFormats) || slices.Contains(hello.formats, formatPlain) {
		for _, g := range hello.groups { // in the client's order: some have groups that they cannot use with a PSK
			if slices.Contains(groups, g) {
				group = g
				break
			}
		}
	}
	var missing []string
	own, _ := choose(c.Suites)
	for _, s := range own {
		switch {
		case !slices.Contains(hello.suites, s.id):
		case s.cbc() && !hello.encryptThenMAC:
			missing = append(missing, "; for "+s.openssl+" it would have to offer encrypt-then-MAC")
		case s.ecdhe && group == 0:
			missing = append(missing, "; for "+s.openssl+" it would have to offer X25519 or P-256")
		default:
			return s, group, nil
		}
	}
	return nil, 0, violates(alertHandshakeFailure, "the client offers no cipher suite that is allowed here%s", strings.Join(missing, ""))
}

// readKeyExchange reads ClientKeyExchange and makes the master secret. It never tells an unknown identity, or one that cannot
// be, from a known one: a random key takes the place of the missing one, and the client fails at Finished. The error to be returned then
// comes back in advance.
func (c *Conn) readKeyExchange(s *schedule, private *ecdh.PrivateKey) (*RefusedError, error) {
	_, body, err := c.readMessage(s, typeClientKeyExchange)
	if err != nil {
		return nil, err
	}
	var exchange keyExchange
	if err := exchange.parse(typeClientKeyExchange, body, s.suite.ecdhe); err != nil {
		return nil, err
	}
	if len(exchange.name) > MaxIdentity {
		return nil, violates(alertIllegalParameter, "an identity of %d bytes, at most %d are allowed", len(exchange.name), MaxIdentity)
	}
	var shared []byte
	if s.suite.ecdhe {
		if shared, err = agree(private, exchange.point); err != nil {
			return nil, err
		}
	}
	refused := &RefusedError{Identity: string(exchange.name)}
	key := newRandom()
	if validIdentity(refused.Identity) {
		if found, ok := c.server.Lookup(refused.Identity); ok && len(found) > 0 && len(found) <= MaxKey {
			key, refused.Known = found, true
			c.key = found
		}
	}
	s.derive(premaster(shared, key))
	if !refused.Known {
		return refused, nil // its keys help nobody who reads the log
	}
	return refused, s.logKey(c.server.KeyLog)
}
