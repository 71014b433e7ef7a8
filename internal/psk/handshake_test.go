package psk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/internal/memnet"
)

// forger is a client that breaks the rules where a function of it is set.
type forger struct {
	hello    func(*clientHello)
	message  func([]byte) []byte    // what to send in place of a handshake message
	exchange func(*keyExchange)     //
	before   map[string]func(*Conn) // what to send before a message of this name
	verify   func([]byte) []byte
	spread   bool // every byte of a handshake message in a record of its own
}

func (f *forger) say(c *Conn, s *schedule, name string, m []byte) {
	if do := f.before[name]; do != nil {
		do(c)
	}
	if f.message != nil {
		m = f.message(m)
	}
	s.add(m)
	if !f.spread {
		c.seal(recordHandshake, m)
		return
	}
	for i := range m {
		c.seal(recordHandshake, m[i:i+1])
	}
}

// connect is the client's handshake as far as the forger keeps to it.
func (f *forger) connect(c *Conn) error {
	s := &schedule{clientRandom: newRandom()}
	hello := c.client.hello(s.clientRandom)
	if f.hello != nil {
		f.hello(hello)
	}
	f.say(c, s, "ClientHello", hello.marshal())
	if err := c.flush(c.inner); err != nil {
		return err
	}
	if err := c.readHello(s, &clientHello{suites: hello.suites, extensions: hello.extensions}); err != nil {
		return err
	}
	exchange, shared, err := c.readServerExchange(s)
	if err != nil {
		return err
	}
	exchange.name = []byte(c.client.Identity)
	if f.exchange != nil {
		f.exchange(exchange)
	}
	f.say(c, s, "ClientKeyExchange", exchange.marshal(typeClientKeyExchange))
	s.derive(premaster(shared, c.client.Key))
	out, in := s.protectors()
	if do := f.before["ChangeCipherSpec"]; do != nil {
		do(c)
	}
	c.seal(recordChangeCipherSpec, []byte{1})
	c.out = out
	verify := s.verifyData(clientFinished)
	if f.verify != nil {
		verify = f.verify(verify)
	}
	f.say(c, s, "Finished", message12(verify))
	if do := f.before["end"]; do != nil {
		do(c)
	}
	if err := c.flush(c.inner); err != nil {
		return err
	}
	if err := c.readFinished(s, serverFinished, in); err != nil {
		return err
	}
	c.done.Store(true)
	return nil
}

// forge lets a forger connect to a server.
func (f *forger) forge(t *testing.T, config *ClientConfig) (client, server *Conn, clientErr, serverErr error) {
	t.Helper()
	a, b := memnet.Pipe()
	client, server = Client(a, config), Server(b, testServer())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if clientErr = f.connect(client); clientErr != nil {
			client.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if serverErr = server.HandshakeContext(ctx); serverErr != nil {
		server.Close()
	}
	<-done
	return client, server, clientErr, serverErr
}

func with(id uint16) func(*clientHello) {
	return func(m *clientHello) { m.has = append(m.has, id) }
}

func without(id uint16) func(*clientHello) {
	return func(m *clientHello) {
		m.has = slices.DeleteFunc(m.has, func(has uint16) bool { return has == id })
	}
}

// extend appends raw extensions to a ClientHello.
func extend(raw ...byte) func([]byte) []byte {
	return func(m []byte) []byte {
		if messageType(m[0]) != typeClientHello {
			return m
		}
		m = append(bytes.Clone(m), raw...)
		at := 4 + 2 + randomLen + 1 // session id is empty
		at += 2 + int(m[at])<<8 + int(m[at+1]) + 2
		put := func(at, n int) { m[at], m[at+1] = byte(n>>8), byte(n) }
		put(at, len(m)-at-2)
		put(2, len(m)-4)
		return m
	}
}

func TestServerRefusesWhatBreaksTheRules(t *testing.T) {
	t.Parallel()
	record := func(typ recordType, p ...byte) func(*Conn) {
		return func(c *Conn) { c.seal(typ, p) }
	}
	first := func(typ messageType, change func([]byte) []byte) func([]byte) []byte {
		return func(m []byte) []byte {
			if messageType(m[0]) == typ {
				return change(bytes.Clone(m))
			}
			return m
		}
	}
	key := func(point []byte) func(*keyExchange) { return func(m *keyExchange) { m.point = point } }
	for name, c := range map[string]struct {
		forger
		suite Suite
		alert alert
		text  string
	}{
		"TLS 1.1":       {forger: forger{hello: func(m *clientHello) { m.version = 0x0302 }}, alert: alertProtocolVersion, text: "a client with TLS 1.2"},
		"only TLS 1.3":  {forger: forger{message: extend(0, extSupportedVersions, 0, 3, 2, 3, 4)}, alert: alertProtocolVersion, text: "a client with TLS 1.2"},
		"fallback":      {forger: forger{hello: func(m *clientHello) { m.version = 0x0302; m.suites = append(m.suites, suiteFallback) }}, alert: alertInappropriateFallback, text: "fell back"},
		"renegotiation": {forger: forger{hello: without(extRenegotiationInfo), message: extend(0xFF, 1, 0, 3, 2, 1, 2)}, alert: alertDecodeError, text: "malformed extension 65281"},
		"no common suite": {
			forger: forger{hello: func(m *clientHello) { m.suites = []Suite{0xC02F} }}, alert: alertHandshakeFailure,
			text: "no cipher suite that is allowed here",
		},
		"CBC without encrypt-then-MAC": {
			forger: forger{hello: func(m *clientHello) { m.encryptThenMAC = false }}, suite: PSKWithAES128CBC, alert: alertHandshakeFailure,
			text: "for PSK-AES128-CBC-SHA256 it would have to offer encrypt-then-MAC",
		},
		"no common group": {
			forger: forger{hello: func(m *clientHello) { m.groups = []groupID{24} }}, suite: ECDHEPSKWithAES128GCM, alert: alertHandshakeFailure,
			text: "it would have to offer X25519 or P-256",
		},
		"compressed points only": {
			forger: forger{hello: func(m *clientHello) { m.formats = []byte{1} }}, suite: ECDHEPSKWithAES128GCM, alert: alertHandshakeFailure,
			text: "it would have to offer X25519 or P-256",
		},
		"extension twice":      {forger: forger{message: extend(0, extExtendedMaster, 0, 0)}, alert: alertDecodeError, text: "extension 23 twice"},
		"too many extensions":  {forger: forger{message: extend(manyExtensions(100)...)}, alert: alertDecodeError, text: "more than 64 extensions"},
		"extension too long":   {forger: forger{message: extend(0, 77, 0, 9, 1)}, alert: alertDecodeError, text: "malformed hello"},
		"extension with more":  {forger: forger{hello: func(m *clientHello) { m.encryptThenMAC = false }, message: extend(0, extEncryptThenMAC, 0, 1, 1)}, suite: PSKWithAES128GCM, alert: alertDecodeError, text: "malformed extension 22"},
		"bytes behind a hello": {forger: forger{message: first(typeClientHello, func(m []byte) []byte { m[3]++; return append(m, 0) })}, alert: alertDecodeError, text: "malformed hello"},
		"compression alone": {
			forger: forger{message: first(typeClientHello, func(m []byte) []byte { m[4+2+32+1+2+16+1] = 1; return m })},
			alert:  alertIllegalParameter, text: "without compression",
		},
		"empty handshake record": {forger: forger{before: map[string]func(*Conn){"ClientHello": record(recordHandshake)}}, alert: alertUnexpectedMessage, text: "without content"},
		"data in the clear":      {forger: forger{before: map[string]func(*Conn){"ClientKeyExchange": record(recordApplicationData, 1)}}, alert: alertUnexpectedMessage, text: "type 23 amid"},
		"second hello":           {forger: forger{before: map[string]func(*Conn){"ClientKeyExchange": record(recordHandshake, message(typeClientHello, nothing)...)}}, alert: alertUnexpectedMessage, text: "type 1, expected one of [16]"},
		"message behind hello":   {forger: forger{message: first(typeClientHello, func(m []byte) []byte { return append(m, 16) })}, alert: alertUnexpectedMessage, text: "behind ClientHello"},
		"early CCS":              {forger: forger{before: map[string]func(*Conn){"ClientKeyExchange": record(recordChangeCipherSpec, 1)}}, alert: alertUnexpectedMessage, text: "type 20 amid"},
		"CCS in a message":       {forger: forger{before: map[string]func(*Conn){"ChangeCipherSpec": record(recordHandshake, 20, 0)}}, alert: alertUnexpectedMessage, text: "type 22, expected ChangeCipherSpec"},
		"message over CCS":       {forger: forger{message: first(typeClientKeyExchange, func(m []byte) []byte { return append(m, 20, 0) })}, alert: alertUnexpectedMessage, text: "ChangeCipherSpec in the middle"},
		"CCS of two bytes":       {forger: forger{before: map[string]func(*Conn){"ChangeCipherSpec": record(recordChangeCipherSpec, 1, 1)}}, alert: alertDecodeError, text: "malformed ChangeCipherSpec"},
		"no CCS":                 {forger: forger{before: map[string]func(*Conn){"ChangeCipherSpec": record(recordHandshake, message12(make([]byte, 12))...)}}, alert: alertUnexpectedMessage, text: "expected ChangeCipherSpec"},
		"warnings for ever":      {forger: forger{before: map[string]func(*Conn){"ClientHello": func(c *Conn) { many(c, 17) }}}, alert: alertUnexpectedMessage, text: "bring nothing"},
		"huge message":           {forger: forger{before: map[string]func(*Conn){"ClientHello": record(recordHandshake, 1, 0xFF, 0xFF, 0xFF)}}, alert: alertDecodeError, text: "message of 16777219 bytes"},
		"identity too long":      {forger: forger{exchange: func(m *keyExchange) { m.name = make([]byte, MaxIdentity+1) }}, alert: alertIllegalParameter, text: "an identity of 257 bytes"},
		"identity over message":  {forger: forger{message: first(typeClientKeyExchange, func(m []byte) []byte { m[4] = 0xFF; return m })}, alert: alertDecodeError, text: "malformed key exchange"},
		"bytes behind identity":  {forger: forger{exchange: key([]byte{1})}, suite: PSKWithAES128GCM, alert: alertDecodeError, text: "malformed key exchange"},
		"zero point":             {forger: forger{exchange: key(make([]byte, 32))}, suite: ECDHEPSKWithAES128GCM, alert: alertIllegalParameter, text: "public key of no use"},
		"short point":            {forger: forger{exchange: key(make([]byte, 31))}, suite: ECDHEPSKWithAES128GCM, alert: alertIllegalParameter, text: "public key of no use"},
		"empty point":            {forger: forger{exchange: key([]byte{})}, suite: ECDHEPSKWithAES128GCM, alert: alertDecodeError, text: "malformed key exchange"},
		"point off the curve": {
			forger: forger{hello: func(m *clientHello) { m.groups = []groupID{groupP256} }, exchange: key(append([]byte{4}, make([]byte, 64)...))},
			suite:  ECDHEPSKWithAES128GCM, alert: alertIllegalParameter, text: "public key of no use",
		},
		"wrong Finished":   {forger: forger{verify: func(p []byte) []byte { p[0] ^= 1; return p }}, alert: alertDecryptError, text: "does not have the key of"},
		"short Finished":   {forger: forger{verify: func(p []byte) []byte { return p[:11] }}, alert: alertDecryptError, text: "does not have the key of"},
		"Finished twice":   {forger: forger{message: first(typeFinished, func(m []byte) []byte { return append(m, m...) })}, alert: alertUnexpectedMessage, text: "behind Finished"},
		"identity of 0xFF": {forger: forger{exchange: func(m *keyExchange) { m.name = []byte{0xFF} }}, alert: alertBadRecordMAC, text: `no key for identity "\xff"`},
		"identity with NUL": {
			forger: forger{exchange: func(m *keyExchange) { m.name = []byte("device\x00") }}, alert: alertBadRecordMAC, text: `no key for identity "device\x00"`,
		},
		"empty identity": {forger: forger{exchange: func(m *keyExchange) { m.name = nil }}, alert: alertBadRecordMAC, text: `no key for identity ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := testClient()
			if c.suite != 0 {
				config.Suites = []Suite{c.suite}
			}
			_, _, clientErr, serverErr := c.forge(t, config)
			var told peerAlert
			if !errors.As(clientErr, &told) || alert(told) != c.alert {
				t.Errorf("client: %v, want the alert %v", clientErr, c.alert)
			}
			if serverErr == nil || !strings.Contains(serverErr.Error(), c.text) {
				t.Errorf("server: %v, want %q", serverErr, c.text)
			}
		})
	}
}

func manyExtensions(n int) (raw []byte) {
	for i := range n {
		raw = append(raw, 0xAA, byte(i), 0, 0)
	}
	return raw
}

func many(c *Conn, n int) {
	for range n {
		c.seal(recordAlert, []byte{levelWarning, 90})
	}
}

func TestServerToleratesWhatIsAllowed(t *testing.T) {
	t.Parallel()
	plainMaster := func(m *clientHello) { m.extendedMaster = false }
	for name, c := range map[string]struct {
		forger
		suite Suite
		check func(client *Conn) bool
	}{
		"every byte in a record of its own": {forger: forger{spread: true}},
		"no extended master secret": {
			forger: forger{hello: plainMaster},
			check:  func(c *Conn) bool { return !c.state.ExtendedMasterSecret },
		},
		"TLS 1.2 beside 1.3":               {forger: forger{message: extend(0, extSupportedVersions, 0, 5, 4, 3, 4, 3, 3)}},
		"a version after 1.2":              {forger: forger{hello: func(m *clientHello) { m.version = 0x0304 }}},
		"fallback to the highest":          {forger: forger{hello: func(m *clientHello) { m.suites = append(m.suites, suiteFallback) }}},
		"unknown extensions and suites":    {forger: forger{hello: func(m *clientHello) { m.suites = append([]Suite{0x0A0A}, m.suites...) }, message: extend(0x5A, 0x5A, 0, 1, 7)}},
		"a few warnings":                   {forger: forger{before: map[string]func(*Conn){"ClientKeyExchange": func(c *Conn) { many(c, 5) }, "ChangeCipherSpec": func(c *Conn) { many(c, 5) }}}},
		"a protocol that is not ours":      {forger: forger{hello: func(m *clientHello) { m.protocols = []string{"h2"}; with(extALPN)(m) }}, check: func(c *Conn) bool { return c.state.Protocol == "" }},
		"a session id":                     {forger: forger{hello: func(m *clientHello) { m.sessionID = make([]byte, 32) }}},
		"P-256":                            {forger: forger{hello: func(m *clientHello) { m.groups = []groupID{24, groupP256} }}, suite: ECDHEPSKWithAES256GCM},
		"AEAD beside encrypt-then-MAC":     {forger: forger{hello: func(m *clientHello) { m.encryptThenMAC = true; with(extEncryptThenMAC)(m) }}, suite: PSKWithAES128GCM},
		"ECDHE beside PSK, without groups": {forger: forger{hello: func(m *clientHello) { m.groups = nil }}, check: func(c *Conn) bool { return c.state.Suite == PSKWithAES128GCM }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := testClient()
			if c.suite != 0 {
				config.Suites = []Suite{c.suite}
			}
			client, server, clientErr, serverErr := c.forge(t, config)
			if clientErr != nil || serverErr != nil {
				t.Fatalf("client: %v; server: %v", clientErr, serverErr)
			}
			if server.Identity() != "device" || c.check != nil && !c.check(client) {
				t.Errorf("client %+v, server %+v", client.state, server.state)
			}
		})
	}
}

// TestGroupIsTheClientsChoice: wolfSSL offers X25519, last, and fails if it is chosen together with a pre-shared key.
func TestGroupIsTheClientsChoice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offered []groupID
		want    groupID
	}{
		{[]groupID{25, groupP256, groupX25519}, groupP256},
		{[]groupID{groupX25519, groupP256}, groupX25519},
	} {
		hello := testClient(ECDHEPSKWithAES128GCM).hello(nil)
		hello.groups = c.offered
		if _, g, err := testServer().pick(hello); g != c.want || err != nil {
			t.Errorf("%d: picked %d, %v, want %d", c.offered, g, err, c.want)
		}
	}
}

// TestRenegotiationIndication is RFC 5746, 3.6: the extension or the SCSV is answered, and nothing else is.
func TestRenegotiationIndication(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		has    []uint16
		suites []Suite
		want   bool
	}{
		{[]uint16{extRenegotiationInfo}, nil, true},
		{nil, []Suite{suiteEmptyRenegotiation}, true},
		{nil, nil, false},
	} {
		hello := &clientHello{suites: c.suites, extensions: extensions{has: c.has}}
		s := &schedule{suite: suiteOf(PSKWithAES128GCM), serverRandom: newRandom()}
		answer := Server(nil, testServer()).answer(s, hello)
		var parsed serverHello
		if err := parsed.parse(answer.marshal()[4:]); err != nil || parsed.present(extRenegotiationInfo) != c.want {
			t.Errorf("%v %v: answered %v, %v, want %t", c.has, c.suites, parsed.has, err, c.want)
		}
	}
}

// liar is a server that answers a client with what a function makes of the right messages.
func liar(c *Conn, config *ServerConfig, hello func(*serverHello), exchange func(*keyExchange), behind []byte) error {
	s := &schedule{serverRandom: newRandom()}
	_, body, err := c.readMessage(s, typeClientHello)
	if err != nil {
		return err
	}
	var m clientHello
	if err := m.parse(body); err != nil {
		return err
	}
	s.clientRandom = m.random
	if s.suite, _, err = config.pick(&m); err != nil {
		return err
	}
	answer := c.answer(s, &m)
	if hello != nil {
		hello(answer)
	}
	c.say(s, answer.marshal())
	e := &keyExchange{}
	if s.suite.ecdhe {
		e.group, e.point = groupX25519, append(make([]byte, 31), 9)
	}
	if exchange != nil {
		exchange(e)
	}
	c.say(s, e.marshal(typeServerKeyExchange))
	c.say(s, append(message(typeServerHelloDone, nothing), behind...))
	if err := c.flush(c.inner); err != nil {
		return err
	}
	_, _, err = c.readMessage(s, typeClientKeyExchange)
	return err
}

func TestClientRefusesWhatBreaksTheRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		suite    Suite
		hello    func(*serverHello)
		exchange func(*keyExchange)
		behind   []byte
		alert    alert
		text     string
	}{
		"TLS 1.1":             {hello: func(m *serverHello) { m.version = 0x0302 }, alert: alertProtocolVersion, text: "version 0x0302"},
		"suite not offered":   {hello: func(m *serverHello) { m.suite = PSKWithChaCha20 }, alert: alertIllegalParameter, text: "suite that was not offered"},
		"suite unknown":       {hello: func(m *serverHello) { m.suite = 0xC02F }, alert: alertIllegalParameter, text: "suite that was not offered"},
		"no renegotiation":    {hello: func(m *serverHello) { m.has = []uint16{extExtendedMaster} }, alert: alertHandshakeFailure, text: "secure renegotiation"},
		"protocol unasked":    {hello: func(m *serverHello) { m.protocols = []string{"mqtt"} }, alert: alertUnsupportedExtension, text: "extension 16"},
		"encrypt-then-MAC":    {hello: func(m *serverHello) { m.encryptThenMAC = true }, alert: alertUnsupportedExtension, text: "extension 22"},
		"CBC without it":      {suite: ECDHEPSKWithAES128CBC, hello: func(m *serverHello) { m.encryptThenMAC = false }, alert: alertHandshakeFailure, text: "expected encrypt-then-MAC with CBC"},
		"compressed points":   {hello: func(m *serverHello) { m.formats = []byte{1} }, alert: alertIllegalParameter, text: "uncompressed points"},
		"group not offered":   {exchange: func(m *keyExchange) { m.group = 24 }, alert: alertIllegalParameter, text: "group that was not offered"},
		"zero point":          {exchange: func(m *keyExchange) { m.point = make([]byte, 32) }, alert: alertIllegalParameter, text: "of no use"},
		"no point":            {exchange: func(m *keyExchange) { m.point = nil }, alert: alertDecodeError, text: "malformed key exchange"},
		"message behind Done": {behind: []byte{20}, alert: alertUnexpectedMessage, text: "behind ServerHelloDone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.suite == 0 {
				c.suite = ECDHEPSKWithAES128GCM
			}
			a, b := memnet.Pipe()
			told := make(chan error, 1)
			go func() {
				told <- liar(Server(b, testServer()), testServer(), c.hello, c.exchange, c.behind)
				b.Close()
			}()
			client := Client(a, testClient(c.suite))
			if err := client.HandshakeContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("client: %v, want %q", err, c.text)
			}
			client.Close()
			var alerted peerAlert
			if err := <-told; !errors.As(err, &alerted) || alert(alerted) != c.alert {
				t.Errorf("server: %v, want the alert %v", err, c.alert)
			}
		})
	}
}

func TestClientPassesOverAHint(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe()
	config := testServer()
	config.Hint = strings.Repeat("h", MaxHint)
	mustShake(t, Client(a, testClient(PSKWithAES128GCM)), Server(b, config))
}

func TestPlaintextIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sent, want string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "an HTTP request"},
		{"POST /x HTTP/1.1\r\n\r\n", "an HTTP request"},
		{"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04abcd", "MQTT without TLS"},
		{"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00", "MQTT without TLS"},
		{"\x10\x90\x01\x00\x04MQTT\x05", "MQTT without TLS"},
		{"\x80\x2e\x01\x03\x01\x00\x15", "a hello of SSL 2"},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "a header of the PROXY protocol"},
		{"\r\n\r\n\x00\r\nQUIT\n", "a header of the PROXY protocol"},
		{"hello, world", "bytes that begin with 68656c6c6f"},
		{"\x16\x02\x00\x00\x01\x01", "bytes that begin with 1602000001"},
	} {
		a, b := memnet.Pipe()
		if _, err := a.Write([]byte(c.sent)); err != nil {
			t.Fatal(err)
		}
		server := Server(b, testServer())
		err := server.HandshakeContext(t.Context())
		if !errors.Is(err, ErrNotTLS) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.sent, err, c.want)
		}
		server.Close()
		if got, err := io.ReadAll(a); err != nil || len(got) > 0 {
			t.Errorf("%q: the answer is %q, %v", c.sent, got, err)
		}
	}
	for _, c := range []struct{ sent, want string }{
		{"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP answer"},
		{"\x20\x02\x00\x05xxxx", "MQTT without TLS"},
	} {
		a, b := memnet.Pipe()
		if _, err := a.Write([]byte(c.sent)); err != nil {
			t.Fatal(err)
		}
		if err := Client(b, testClient()).HandshakeContext(t.Context()); !errors.Is(err, ErrNotTLS) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.sent, err, c.want)
		}
	}
}

func TestATooLongRecordGetsItsAlert(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe()
	if _, err := a.Write([]byte{22, 3, 1, 0xFF, 0xFF}); err != nil {
		t.Fatal(err)
	}
	server := Server(b, testServer())
	if err := server.HandshakeContext(t.Context()); err == nil || !strings.Contains(err.Error(), "a record of 65535 bytes") {
		t.Errorf("handshake: %v", err)
	}
	server.Close()
	if got, _ := io.ReadAll(a); !bytes.Equal(got, []byte{21, 3, 3, 0, 2, levelFatal, byte(alertRecordOverflow)}) {
		t.Errorf("the answer is %x", got)
	}
}

// tamperer changes what one end writes: at one place of all it writes.
type tamperer struct {
	net.Conn
	at, seen int
	flip     byte // 0: nothing comes from there on
	over     bool
}

func (c *tamperer) Write(p []byte) (int, error) {
	q := bytes.Clone(p)
	if i := c.at - c.seen; i >= 0 && i < len(q) {
		if c.flip == 0 {
			q, c.over = q[:i], true
		} else {
			q[i] ^= c.flip
		}
	}
	c.seen += len(p)
	if len(q) > 0 {
		if _, err := c.Conn.Write(q); err != nil {
			return 0, err
		}
	}
	if c.over {
		return len(p), c.Close()
	}
	return len(p), nil
}

// TestTamperedHandshakeFails flips two bits, one at a time, of every byte of a handshake, or ends it before the byte, in both directions. What was announced and
// never comes is waited for until the deadline, and no longer.
func TestTamperedHandshakeFails(t *testing.T) {
	t.Parallel()
	for _, id := range []Suite{ECDHEPSKWithChaCha20, PSKWithAES128CBC} {
		for _, side := range []string{"client", "server"} {
			length := flight(t, id, side)
			for at := range length {
				for _, flip := range []byte{0, 1 << (at % 8), 1 << ((at + 3) % 8)} {
					if side == "client" && at == 2 && flip != 0 {
						continue // the minor version of the first record, which means nothing (RFC 5246, E.1)
					}
					synctest.Test(t, func(t *testing.T) { tampered(t, id, side, at, flip) })
				}
			}
		}
	}
}

// flight returns how many bytes a side writes in a handshake.
func flight(t *testing.T, id Suite, side string) int {
	t.Helper()
	a, b := memnet.Pipe()
	client, server := &recorder{Conn: a}, &recorder{Conn: b}
	mustShake(t, Client(client, testClient(id)), Server(server, testServer()))
	if side == "client" {
		return client.written.Len()
	}
	return server.written.Len()
}

func tampered(t *testing.T, id Suite, side string, at int, flip byte) {
	t.Helper()
	const deadline = 10 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	a, b := memnet.Pipe()
	tamper := &tamperer{Conn: a, at: at, flip: flip}
	client, server := Client(tamper, testClient(id)), Server(b, testServer())
	if side == "server" {
		tamper.Conn = b
		client, server = Client(a, testClient(id)), Server(tamper, testServer())
	}
	start := time.Now()
	serverErr := make(chan error, 1)
	go func() {
		err := server.HandshakeContext(ctx)
		if side == "client" {
			server.Close() // else the client ends first
		}
		serverErr <- err
	}()
	clientErr := client.HandshakeContext(ctx)
	client.Close()
	err := <-serverErr
	server.Close()
	if clientErr == nil || err == nil && side == "client" {
		t.Errorf("%v, byte %d of the %s, flip %d: client: %v; server: %v", id, at, side, flip, clientErr, err)
	}
	if took := time.Since(start); took > deadline {
		t.Errorf("%v, byte %d of the %s, flip %d: took %v", id, at, side, flip, took)
	}
}
