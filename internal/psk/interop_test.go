package psk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/testenv"
)

// These tests run other people's TLS against this package: OpenSSL's, by itself and inside Debian's mosquitto.

// openssl lacks the suites of RFC 8442.
func opensslSuites() (ids []Suite) {
	for _, id := range AllSuites() {
		if id != ECDHEPSKWithAES128GCM && id != ECDHEPSKWithAES256GCM {
			ids = append(ids, id)
		}
	}
	return ids
}

// program is a process whose output and errors are read together, by line.
type program struct {
	*testenv.Process
	t *testing.T
}

// start runs a program until it ends by itself, or with the test.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	return &program{testenv.Talk(t, exec.Command(name, args...)), t}
}

// await returns the next line that contains text.
func (p *program) await(text string) string { return p.Next(regexp.QuoteMeta(text)) }

func (p *program) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Input, text); err != nil {
		p.t.Fatal(err)
	}
}

// listen returns a listener for TLS on loopback.
func listen(t *testing.T, config *ServerConfig) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return NewListener(l, config)
}

// accept returns the next connection, with a deadline, and the error of its handshake.
func accept(t *testing.T, l net.Listener) (*Conn, error) {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := conn.(*Conn)
	return c, c.HandshakeContext(t.Context())
}

func sClient(t *testing.T, l net.Listener, args ...string) *program {
	t.Helper()
	args = append([]string{"s_client", "-connect", l.Addr().String(), "-psk", hex.EncodeToString(testKey), "-psk_identity", "device"}, args...)
	return start(t, testenv.Program(t, "openssl", "openssl"), args...)
}

func TestOpenSSLClient(t *testing.T) {
	t.Parallel()
	testenv.Program(t, "openssl", "openssl")
	for _, id := range opensslSuites() {
		for name, args := range map[string][]string{
			"1.2":      {"-tls1_2"},
			"with 1.3": {"-alpn", "h2,mqtt"},
			"P-256":    {"-tls1_2", "-groups", "P-256"},
			"SCSV":     {"-tls1_2", "-fallback_scsv"},
		} {
			t.Run(id.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				config, log := testServer(), &bytes.Buffer{}
				config.Hint, config.KeyLog = "a hint", log
				l := listen(t, config)
				keylog := filepath.Join(t.TempDir(), "keys")
				p := sClient(t, l, append(args, "-cipher", id.String(), "-quiet", "-keylogfile", keylog)...)
				c, err := accept(t, l)
				if err != nil {
					t.Fatalf("handshake: %v; openssl said %v", err, p.Wait())
				}
				state := c.State()
				if state.Suite != id || state.Identity != "device" || !state.ExtendedMasterSecret || (state.Protocol == "mqtt") != (name == "with 1.3") {
					t.Errorf("state %+v", state)
				}
				converse(t, p, c)
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				if err := p.Wait(); err != nil {
					t.Errorf("openssl: %v", err)
				}
				theirs, err := os.ReadFile(keylog)
				if err != nil || log.Len() == 0 || !bytes.Contains(theirs, log.Bytes()) {
					t.Errorf("key log %q, OpenSSL's is %q, %v", log, theirs, err)
				}
			})
		}
	}
}

// converse sends a line each way.
func converse(t *testing.T, p *program, c *Conn) {
	t.Helper()
	p.say("hello from openssl\n")
	got := make([]byte, len("hello from openssl\n"))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello from openssl\n" {
		t.Fatalf("read %q, %v", got, err)
	}
	long := strings.Repeat("long ", 10_000)
	if _, err := fmt.Fprintln(c, long+"hello from unio"); err != nil {
		t.Fatal(err)
	}
	if line := p.await("hello from unio"); !strings.HasPrefix(line, long) {
		t.Errorf("openssl got %d bytes", len(line))
	}
}

func TestOpenSSLClientWithoutTheKey(t *testing.T) {
	t.Parallel()
	l := listen(t, testServer())
	for _, args := range [][]string{{"-psk", "0102"}, {"-psk_identity", "nobody"}} {
		p := sClient(t, l, append(args, "-tls1_2")...)
		var refused *RefusedError
		if _, err := accept(t, l); !errors.As(err, &refused) || refused.Known == (refused.Identity == "nobody") {
			t.Errorf("%v: handshake: %v", args, err)
		}
		p.await("alert bad record mac")
	}
}

func TestOpenSSLClientRefused(t *testing.T) {
	t.Parallel()
	l := listen(t, testServer())
	for _, c := range []struct {
		args        []string
		said, error string
	}{
		{[]string{"-tls1_1", "-cipher", "PSK:@SECLEVEL=0"}, "alert protocol version", "expected a client with TLS 1.2"},
		{[]string{"-tls1_3"}, "alert protocol version", "expected a client with TLS 1.2"},
		{[]string{"-tls1_2", "-cipher", "PSK-AES256-CBC-SHA"}, "alert handshake failure", "no cipher suite that is allowed"},
		{[]string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}, "alert handshake failure", "no cipher suite that is allowed"},
	} {
		p := sClient(t, l, c.args...)
		if _, err := accept(t, l); err == nil || !strings.Contains(err.Error(), c.error) {
			t.Errorf("%v: %v, want %q", c.args, err, c.error)
		}
		p.await(c.said)
	}
}

func TestOpenSSLClientMayNotRenegotiate(t *testing.T) {
	t.Parallel()
	l := listen(t, testServer())
	p := sClient(t, l, "-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256")
	c, err := accept(t, l)
	if err != nil {
		t.Fatal(err)
	}
	p.await("Verify return code")
	p.say("R\n")
	if n, err := c.Read(make([]byte, 100)); n != 0 || err == nil || isTimeout(err) {
		t.Errorf("read %d, %v", n, err)
	}
	p.await("no renegotiation")
}

func TestOpenSSLServer(t *testing.T) {
	t.Parallel()
	openssl := testenv.Program(t, "openssl", "openssl")
	for _, id := range opensslSuites() {
		t.Run(id.String(), func(t *testing.T) {
			t.Parallel()
			p := start(t, openssl, "s_server", "-accept", "127.0.0.1:0", "-nocert", "-psk", hex.EncodeToString(testKey), "-psk_identity", "device",
				"-psk_hint", "a hint", "-cipher", id.String(), "-alpn", "mqtt", "-legacy_renegotiation")
			addr := strings.TrimPrefix(p.await("ACCEPT "), "ACCEPT ")
			config := testClient()
			config.Protocols = []string{"mqtt"}
			c, err := dial(t, addr, config)
			if err != nil {
				t.Fatal(err)
			}
			if state := c.State(); state.Suite != id || !state.ExtendedMasterSecret || state.Protocol != "mqtt" {
				t.Errorf("state %+v", state)
			}
			if _, err := fmt.Fprintln(c, "hello from unio"); err != nil {
				t.Fatal(err)
			}
			p.await("hello from unio")
			p.say("hello from openssl\n")
			if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "hello from openssl\n" {
				t.Fatalf("read %q, %v", line, err)
			}
			p.say("r\n") // HelloRequest
			if n, err := c.Read(make([]byte, 100)); n != 0 || err == nil || isTimeout(err) {
				t.Errorf("read %d, %v", n, err)
			}
			p.await("no renegotiation")
		})
	}
	t.Run("wrong key", func(t *testing.T) {
		t.Parallel()
		p := start(t, openssl, "s_server", "-accept", "127.0.0.1:0", "-nocert", "-psk", "0102", "-psk_identity", "device")
		addr := strings.TrimPrefix(p.await("ACCEPT "), "ACCEPT ")
		if _, err := dial(t, addr, testClient()); err == nil || !strings.Contains(err.Error(), "is the identity known there, and the key the same?") {
			t.Errorf("handshake: %v", err)
		}
	})
}

func dial(t *testing.T, addr string, config *ClientConfig) (*Conn, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := Client(conn, config)
	t.Cleanup(func() { c.Close() })
	return c, c.HandshakeContext(t.Context())
}

// hidden gives the broker connections of which it sees nothing but net.Conn.
type hidden struct{ net.Listener }

func (h hidden) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

func TestMosquittoClients(t *testing.T) {
	t.Parallel()
	sub, pub := testenv.Program(t, "mosquitto_sub", "mosquitto-clients"), testenv.Program(t, "mosquitto_pub", "mosquitto-clients")
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	config := testServer()
	config.Hint = "a hint"
	l := listen(t, config)
	served := make(chan error, 1)
	go func() { served <- b.Serve(hidden{l}) }()
	t.Cleanup(func() {
		if err := b.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			t.Error(err)
		}
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	common := []string{"-h", "127.0.0.1", "-p", port, "-t", "psk", "-d", "--psk-identity", "device", "--psk"}
	key := hex.EncodeToString(testKey)
	for _, id := range opensslSuites() {
		payload := strings.Repeat("from "+id.String()+" ", 1000)
		if err := start(t, pub, append(common, key, "--ciphers", id.String(), "-q", "1", "-r", "-m", payload)...).Wait(); err != nil {
			t.Errorf("%v: mosquitto_pub: %v", id, err)
		}
		s := start(t, sub, append(common, key, "--ciphers", id.String(), "-C", "1")...)
		s.await(payload)
		if err := s.Wait(); err != nil {
			t.Errorf("%v: mosquitto_sub: %v", id, err)
		}
	}
	if err := start(t, pub, append(common, "0102", "-m", "x")...).Wait(); err == nil {
		t.Error("mosquitto_pub with a wrong key succeeded")
	}
}

func TestMosquittoServer(t *testing.T) {
	t.Parallel()
	mosquitto := testenv.Program(t, "mosquitto", "mosquitto")
	dir, err := os.MkdirTemp("", "psk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port := testenv.FreePort(t)
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("device:"+hex.EncodeToString(testKey)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Mosquitto(t, mosquitto, "allow_anonymous true", fmt.Sprintf("listener %d 127.0.0.1", port), "psk_hint a hint", "psk_file "+keys)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	for _, id := range opensslSuites() {
		c, err := dial(t, addr, testClient(id))
		if err != nil {
			t.Errorf("%v: %v", id, err)
			continue
		}
		if _, err := c.Write([]byte("\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03psk")); err != nil {
			t.Errorf("%v: CONNECT: %v", id, err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte{0x20, 2, 0, 0}) {
			t.Errorf("%v: CONNACK: %x, %v", id, got, err)
		}
		c.Close()
	}
	for _, config := range []*ClientConfig{{Identity: "device", Key: []byte("wrong")}, {Identity: "nobody", Key: testKey}} {
		var told peerAlert
		if _, err := dial(t, addr, config); !errors.As(err, &told) {
			t.Errorf("%s: %v, want an alert", config.Identity, err)
		}
	}
}
