package psk

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPRFGivesThePublishedVectors has the vectors that were published on the mailing list of the IETF's TLS working group; RFC 5246 has none.
func TestPRFGivesThePublishedVectors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hash               func() hash.Hash
		secret, seed, want string
	}{
		"SHA-256": {
			sha256.New, "9bbe436ba940f017b17652849a71db35", "a0ba9f936cda311827a6f796ffd5198c",
			"e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa0" +
				"22f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66",
		},
		"SHA-384": {
			sha512.New384, "b80b733d6ceefcdc71566ea48e5567df", "cd665cf6a8447dd6ff8b27555edb7465",
			"7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f8" +
				"0edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655" +
				"c9e9aee691c8f3a26854308d5eaa3be85e0990703d73e56f",
		},
	} {
		want := unhex(t, c.want)
		if got := prf(c.hash, unhex(t, c.secret), "test label", unhex(t, c.seed), len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
}

// TestPremasterHasTheLayoutOfTheRFCs is the layout of RFC 4279, 2 and of RFC 5489, 2.
func TestPremasterHasTheLayoutOfTheRFCs(t *testing.T) {
	t.Parallel()
	if got := premaster(nil, []byte{1, 2, 3}); !bytes.Equal(got, []byte{0, 3, 0, 0, 0, 0, 3, 1, 2, 3}) {
		t.Errorf("PSK: %x", got)
	}
	if got := premaster([]byte{9, 8}, []byte{1, 2, 3}); !bytes.Equal(got, []byte{0, 2, 9, 8, 0, 3, 1, 2, 3}) {
		t.Errorf("ECDHE_PSK: %x", got)
	}
}

// session is one of testdata/openssl-sessions.txt.
type session map[string]string

func recordedSessions(t testing.TB) (all []session) {
	t.Helper()
	text, err := os.ReadFile("testdata/openssl-sessions.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case !found || name == "#":
			continue
		case name == "suite":
			all = append(all, session{})
		}
		all[len(all)-1][name] = value
	}
	if len(all) < 6 {
		t.Fatalf("%d recorded sessions", len(all))
	}
	return all
}

// recording is a connection that gives what one side wrote.
type recording struct {
	net.Conn
	io.Reader
}

func (r recording) Read(p []byte) (int, error) { return r.Reader.Read(p) }

// TestRecordedSessionsOfOthersAreFollowed follows sessions between two others: parser, key schedule, Finished and record protection must all be right, or nothing
// can be read.
func TestRecordedSessionsOfOthersAreFollowed(t *testing.T) {
	t.Parallel()
	for _, r := range recordedSessions(t) {
		t.Run(r["suite"], func(t *testing.T) {
			t.Parallel()
			follow(t, r)
		})
	}
}

func follow(t *testing.T, r session) {
	t.Helper()
	fromClient := Server(recording{nil, bytes.NewReader(unhex(t, r["client"]))}, testServer())
	fromServer := Client(recording{nil, bytes.NewReader(unhex(t, r["server"]))}, testClient())
	s := &schedule{}
	message := func(c *Conn, types ...messageType) (messageType, []byte) {
		t.Helper()
		typ, body, err := c.readMessage(s, types...)
		if err != nil {
			t.Fatal(err)
		}
		return typ, body
	}
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	var hello clientHello
	_, body := message(fromClient, typeClientHello)
	check("ClientHello", hello.parse(body))
	var answer serverHello
	_, body = message(fromServer, typeServerHello)
	check("ServerHello", answer.parse(body))
	if answer.suite.String() != r["suite"] {
		t.Fatalf("suite %v", answer.suite)
	}
	s.suite, s.clientRandom, s.serverRandom, s.extended = suiteOf(answer.suite), hello.random, answer.random, answer.extendedMaster
	var exchange keyExchange
	_, body = message(fromServer, typeServerKeyExchange)
	check("ServerKeyExchange", exchange.parse(typeServerKeyExchange, body, s.suite.ecdhe))
	if string(exchange.name) != "a hint" {
		t.Errorf("hint %q", exchange.name)
	}
	message(fromServer, typeServerHelloDone)
	_, body = message(fromClient, typeClientKeyExchange)
	check("ClientKeyExchange", exchange.parse(typeClientKeyExchange, body, s.suite.ecdhe))
	if string(exchange.name) != "device" {
		t.Errorf("identity %q", exchange.name)
	}
	if s.suite.ecdhe { // what was agreed on is in no recording
		s.master = unhex(t, r["master"])
	} else if s.derive(premaster(nil, unhex(t, r["key"]))); hex.EncodeToString(s.master) != r["master"] {
		t.Fatalf("master secret %x, want %s", s.master, r["master"])
	}
	client, server := s.protectors()
	check("Finished of the client", fromClient.readFinished(s, clientFinished, client))
	const typeNewSessionTicket = 4
	message(fromServer, typeNewSessionTicket)
	check("Finished of the server", fromServer.readFinished(s, serverFinished, server))
	for c, want := range map[*Conn]string{fromClient: "from the client\n", fromServer: "from the server\n"} {
		if typ, p, err := c.nextRecord(c.inner); err != nil || typ != recordApplicationData || string(p) != want {
			t.Errorf("record %d %q, %v, want %q", typ, p, err, want)
		}
	}
}
