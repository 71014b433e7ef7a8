package psk

import (
	"crypto/rand"
	"errors"
	"slices"
)

// connect is the client's handshake.
func (c *Conn) connect() error {
	if err := c.client.Check(); err != nil {
		return err // nobody was told anything yet
	}
	s := &schedule{clientRandom: newRandom()}
	hello := c.client.hello(s.clientRandom)
	c.say(s, hello.marshal())
	if err := c.flush(c.inner); err != nil {
		return err
	}
	if err := c.readHello(s, hello); err != nil {
		return err
	}
	exchange, shared, err := c.readServerExchange(s)
	if err != nil {
		return err
	}
	exchange.name = []byte(c.client.Identity)
	c.say(s, exchange.marshal(typeClientKeyExchange))
	s.derive(premaster(shared, c.client.Key))
	if err := s.logKey(c.client.KeyLog); err != nil {
		return errors.Join(violates(alertInternalError, "no key log"), err)
	}
	out, in := s.protectors()
	if err := c.sayFinished(s, clientFinished, out); err != nil {
		return err
	}
	c.state.Identity = c.client.Identity
	return c.readFinished(s, serverFinished, in)
}

func (c *ClientConfig) hello(random []byte) *clientHello {
	m := &clientHello{version: version12, random: random}
	m.has, m.extendedMaster, m.protocols = []uint16{extRenegotiationInfo, extExtendedMaster}, true, c.Protocols
	own, _ := choose(c.Suites)
	for _, s := range own {
		m.suites = append(m.suites, s.id)
		m.encryptThenMAC = m.encryptThenMAC || s.cbc()
		if s.ecdhe {
			m.groups, m.formats = groups, []byte{formatPlain}
		}
	}
	if m.encryptThenMAC {
		m.has = append(m.has, extEncryptThenMAC)
	}
	if m.groups != nil {
		m.has = append(m.has, extSupportedGroups, extPointFormats)
	}
	if m.protocols != nil {
		m.has = append(m.has, extALPN)
	}
	return m
}

// readHello reads ServerHello, which may choose only from what was offered.
func (c *Conn) readHello(s *schedule, hello *clientHello) error {
	_, body, err := c.readMessage(s, typeServerHello)
	if err != nil {
		return err
	}
	var answer serverHello
	if err := answer.parse(body); err != nil {
		return err
	}
	if answer.version != version12 {
		return violates(alertProtocolVersion, "the server chose version %#04x, expected TLS 1.2", answer.version)
	}
	for _, id := range answer.has {
		if !hello.present(id) {
			return violates(alertUnsupportedExtension, "the server answered extension %d, which was not sent", id)
		}
	}
	s.suite = suiteOf(answer.suite)
	switch {
	case s.suite == nil || !slices.Contains(hello.suites, answer.suite):
		return violates(alertIllegalParameter, "the server chose a cipher suite that was not offered")
	case s.suite.cbc() != answer.encryptThenMAC:
		return violates(alertHandshakeFailure, "expected encrypt-then-MAC with CBC, and only with it")
	case !answer.present(extRenegotiationInfo): // RFC 5746, 3.4: it could be made to take this handshake for a second one
		return violates(alertHandshakeFailure, "expected a server with secure renegotiation")
	case answer.present(extPointFormats) && !slices.Contains(answer.formats, formatPlain):
		return violates(alertIllegalParameter, "the server does not take uncompressed points")
	case len(answer.protocols) > 1 || len(answer.protocols) == 1 && !slices.Contains(hello.protocols, answer.protocols[0]):
		return violates(alertIllegalParameter, "the server chose a protocol that was not offered")
	}
	c.negotiated = true
	s.serverRandom, s.extended = answer.random, answer.extendedMaster
	c.state = State{Version: version12, Suite: s.suite.id, ExtendedMasterSecret: s.extended}
	if len(answer.protocols) == 1 {
		c.state.Protocol = answer.protocols[0]
	}
	return nil
}

// readServerExchange reads up to ServerHelloDone, and does ECDHE. The hint is passed over: the config knows who we are.
func (c *Conn) readServerExchange(s *schedule) (own *keyExchange, shared []byte, err error) {
	expected := []messageType{typeServerKeyExchange}
	if !s.suite.ecdhe { // then there may be none
		expected = append(expected, typeServerHelloDone)
	}
	typ, body, err := c.readMessage(s, expected...)
	if err != nil {
		return nil, nil, err
	}
	own = &keyExchange{}
	if typ == typeServerKeyExchange {
		var exchange keyExchange
		if err := exchange.parse(typ, body, s.suite.ecdhe); err != nil {
			return nil, nil, err
		}
		if s.suite.ecdhe {
			if own.point, shared, err = ephemeral(&exchange); err != nil {
				return nil, nil, err
			}
		}
		if _, body, err = c.readMessage(s, typeServerHelloDone); err != nil {
			return nil, nil, err
		}
	}
	if len(body) > 0 {
		return nil, nil, violates(alertDecodeError, "a malformed ServerHelloDone")
	}
	if len(c.messages) > 0 {
		return nil, nil, violates(alertUnexpectedMessage, "a handshake message behind ServerHelloDone")
	}
	return own, shared, nil
}

// ephemeral makes a key pair in the group of the server, and agrees with it.
func ephemeral(server *keyExchange) (public, shared []byte, err error) {
	if !slices.Contains(groups, server.group) {
		return nil, nil, violates(alertIllegalParameter, "the server chose a group that was not offered")
	}
	private, err := server.group.curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	shared, err = agree(private, server.point)
	return private.PublicKey().Bytes(), shared, err
}
