package unio

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/psk"
	"github.com/uniomq/unio/mqtt"
)

// spanning is a broker whose configuration is read again while somebody logs in.
type spanning struct {
	s    *Server
	cfg  *config.Config
	dir  string
	conn net.Conn // to the first listener
}

func span(t *testing.T, change func(l *config.Listener)) *spanning {
	t.Helper()
	p := &spanning{cfg: onSockets(t, "a"), dir: t.TempDir()}
	change(&p.cfg.Listeners[0])
	p.s = start(t, p.cfg, nil)
	var err error
	if p.conn, err = net.Dial("unix", p.cfg.Listeners[0].Path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.conn.Close() })
	if err := p.conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *spanning) reload(t *testing.T) {
	t.Helper()
	if err := p.s.Reload(p.cfg); err != nil {
		t.Fatal(err)
	}
	if n := len(p.s.Broker().Clients()); n > 0 {
		t.Fatalf("%d clients are connected already", n)
	}
}

// outcomes are what may be changed while a client logs in, and what it is told then.
var outcomes = map[string]struct {
	gone bool
	want mqtt.ReasonCode
}{
	"the same": {false, mqtt.Success},
	"gone":     {true, mqtt.NotAuthorized},
}

// TestAPasswordThatIsGoneAtTheEndOfTheLogin is one of SCRAM, whose exchange takes several steps.
func TestAPasswordThatIsGoneAtTheEndOfTheLogin(t *testing.T) {
	t.Parallel()
	for name, o := range outcomes {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "scram")
			write(t, path, credentials(t, "JOE"))
			cfg := configured(t, "auth_scram_file "+path)
			s := start(t, cfg, nil)
			_, code := enhancedAfter(t, s, "SCRAM-SHA-256", "joe", "JOE", func() {
				if o.gone {
					write(t, path, credentials(t, "NEW"))
				}
				if err := s.Reload(cfg); err != nil {
					t.Fatal(err)
				}
			})
			if code != o.want {
				t.Errorf("CONNACK says %v, want %v", code, o.want)
			}
		})
	}
}

// TestAPreSharedKeyThatIsGoneAtTheEndOfTheLogin has a reload between the handshake and CONNECT.
func TestAPreSharedKeyThatIsGoneAtTheEndOfTheLogin(t *testing.T) {
	t.Parallel()
	for name, o := range outcomes {
		t.Run(name, func(t *testing.T) {
			key, file := bytes.Repeat([]byte{7}, 16), filepath.Join(t.TempDir(), "keys")
			write(t, file, "joe:"+hex.EncodeToString(key)+"\n")
			p := span(t, func(l *config.Listener) {
				l.TLS.PSKHint, l.TLS.PSKFile, l.IdentityAsUsername, l.AllowAnonymous = "x", file, true, false
			})
			client := psk.Client(p.conn, &psk.ClientConfig{Identity: "joe", Key: key})
			if err := client.HandshakeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			if o.gone {
				write(t, file, "joe:00"+hex.EncodeToString(key)+"\n")
			}
			p.reload(t)
			tell(t, client, &mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true})
			if a, ok := hear(t, client).(*mqtt.Connack); !ok || a.Reason != o.want {
				t.Errorf("came %+v, want %v", a, o.want)
			}
		})
	}
}

// TestACertificateThatIsGoneAtTheEndOfTheLogin has a reload between the handshake and CONNECT, or
// between the handshake and the upgrade to WebSocket.
func TestACertificateThatIsGoneAtTheEndOfTheLogin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, server := pair(t, dir, "broker")
	joeFile, _, joe := pair(t, dir, "joe")
	annFile, _, _ := pair(t, dir, "ann")
	roots := x509.NewCertPool()
	roots.AddCert(server.Leaf)
	for door, protocol := range map[string]config.Protocol{"mqtt": config.MQTT, "websockets": config.WebSockets} {
		for name, o := range outcomes {
			t.Run(door+" "+name, func(t *testing.T) {
				authorities := filepath.Join(t.TempDir(), "ca")
				copyFile(t, authorities, joeFile)
				p := span(t, func(l *config.Listener) {
					l.Protocol = protocol
					l.TLS.CertFile, l.TLS.KeyFile, l.TLS.CAFile, l.TLS.RequireCertificate = certFile, keyFile, authorities, true
					l.IdentityAsUsername, l.AllowAnonymous = true, false
				})
				client := tls.Client(p.conn, &tls.Config{
					RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{joe},
					// In 1.3 the client's handshake is over before the server's.
					MaxVersion: tls.VersionTLS12,
				})
				if err := client.HandshakeContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				if o.gone {
					copyFile(t, authorities, annFile)
				}
				p.reload(t)
				connect := (&mqtt.Connect{ClientID: "c", CleanStart: true}).Append(nil, mqtt.V5)
				if protocol == config.WebSockets {
					upgrade(t, client)
					masked := []byte{0x82, 0x80 | byte(len(connect)), 0, 0, 0, 0} // with zeros
					connect = append(masked, connect...)
				}
				if _, err := client.Write(connect); err != nil {
					t.Fatal(err)
				}
				if protocol == config.WebSockets {
					header := make([]byte, 2)
					if _, err := io.ReadFull(client, header); err != nil {
						t.Fatal(err)
					}
				}
				if a, ok := hear(t, client).(*mqtt.Connack); !ok || a.Reason != o.want {
					t.Errorf("came %+v, want %v", a, o.want)
				}
			})
		}
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(text))
}

// upgrade asks for WebSocket, and reads the answer.
func upgrade(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	var answer []byte
	for b := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); answer = append(answer, b[0]) {
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatalf("after %q: %v", answer, err)
		}
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("the answer is %q", answer)
	}
}
