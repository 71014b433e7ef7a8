package client_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/uniomq/unio/internal/client"
)

// echo accepts one connection and returns its first line.
func echo(t *testing.T, l net.Listener) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil {
			_, _ = conn.Write([]byte(line))
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

func TestDialReachesTCPAndUnixSockets(t *testing.T) {
	t.Parallel()
	for _, d := range []client.Dialer{
		{Address: "127.0.0.1:0", Bind: "127.0.0.1", Nagle: true},
		{Network: "unix", Address: filepath.Join(t.TempDir(), "s")},
	} {
		network := d.Network
		if network == "" {
			network = "tcp"
		}
		l, err := net.Listen(network, d.Address)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, l)
		d.Address = l.Addr().String()
		conn, err := d.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("hello\n")); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(conn).ReadString('\n'); line != "hello\n" {
			t.Errorf("%s: %q, %v", network, line, err)
		}
		_ = conn.Close()
	}
}

func TestDialReportsAFailedTLSHandshake(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = conn.Write([]byte("no TLS here, certainly not"))
			_ = conn.Close()
		}
	}()
	defer l.Close()
	_, err = (&client.Dialer{Address: l.Addr().String(), TLS: &tls.Config{ServerName: "x"}}).Dial(t.Context())
	if _, ok := errors.AsType[*client.TLSError](err); !ok {
		t.Errorf("error %v", err)
	}
}
