package tlsconn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/listener/proxyproto"
)

func TestPlainClientIsNamedAndGetsNoAnswer(t *testing.T) {
	t.Parallel()
	for sent, speaks := range map[string]string{
		"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00": "MQTT", "GET / HTTP/1.1\r\n\r\n": "HTTP", "PROXY TCP4 ": "the PROXY protocol",
		"\r\n\r\n\x00\r\nQUIT\n": "the PROXY protocol", "\x00\x01\x02\x03\x04": "something else",
	} {
		serverConfig, _ := config(t)
		a, b := dial(t)
		server := Server(a, serverConfig)
		if _, err := b.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		err := server.HandshakeContext(t.Context())
		plain, ok := errors.AsType[*PlainError](err)
		if !ok || plain.Speaks != speaks {
			t.Errorf("%q: %v", sent, err)
		}
		if _, ok := errors.AsType[tls.RecordHeaderError](err); !ok {
			t.Errorf("%q: no RecordHeaderError in %v", sent, err)
		}
		server.Close()
		if got, _ := io.ReadAll(b); len(got) != 0 {
			t.Errorf("%q was answered with %q", sent, got)
		}
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	serverConfig, _ := config(t)
	a, _ := dial(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Server(a, serverConfig).HandshakeContext(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestChallengeOfACMEIsNoConnection(t *testing.T) {
	t.Parallel()
	serverConfig, clientConfig := config(t)
	serverConfig.NextProtos, clientConfig.NextProtos = []string{challengeProtocol}, []string{challengeProtocol}
	a, b := dial(t)
	client := tls.Client(b, clientConfig)
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	server := Server(a, serverConfig)
	for range 2 {
		if err := server.HandshakeContext(t.Context()); err != ErrChallenge {
			t.Errorf("server: %v", err)
		}
	}
	if _, err := server.Read(make([]byte, 1)); err != ErrChallenge {
		t.Errorf("read: %v", err)
	}
	server.Close()
	if err := <-done; err != nil {
		t.Errorf("client: %v", err)
	}
}

func TestConnectionUnderneathHasItsHandshakeFirst(t *testing.T) {
	t.Parallel()
	serverConfig, clientConfig := config(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inner, err := proxyproto.NewListener(tcp, 1)
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(inner, serverConfig)
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_, err = io.WriteString(c, "PROXY TCP4 192.0.2.7 198.51.100.1 1234 8883\r\n")
		}
		if err == nil {
			client := tls.Client(c, clientConfig)
			_, err = client.Write([]byte("hello"))
			client.Close()
		}
		done <- err
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	c := nc.(*Conn)
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if c.RemoteAddr().String() != "192.0.2.7:1234" {
		t.Errorf("address %v", c.RemoteAddr())
	}
	if _, err := c.SyscallConn(); err != nil {
		t.Errorf("socket: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestListenerGivesConnections(t *testing.T) {
	t.Parallel()
	serverConfig, clientConfig := config(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(inner, serverConfig)
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := tls.Dial("tcp", l.Addr().String(), clientConfig)
		if err == nil {
			_, err = c.Write([]byte("hello"))
			c.Close()
		}
		done <- err
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(nc); string(got) != "hello" || err != nil { // the handshake comes by itself
		t.Errorf("%q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if state := nc.(*Conn).ConnectionState(); !state.HandshakeComplete {
		t.Errorf("state: %+v", state)
	}
}
