package websocket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
)

// shaking is a listener whose connections have a handshake, which ends with the first byte that
// comes.
type shaking struct{ net.Listener }

func (s shaking) Accept() (net.Conn, error) {
	nc, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &shaker{Conn: nc}, nil
}

type shaker struct {
	net.Conn
	shaken bool
}

func (s *shaker) Read(p []byte) (int, error) {
	if !s.shaken {
		if _, err := s.Conn.Read(make([]byte, 1)); err != nil {
			return 0, err
		}
		s.shaken = true
	}
	return s.Conn.Read(p)
}

// TestHandshakeUpgradeAndConnectHaveOneTime has a client that takes its time for each of them.
func TestHandshakeUpgradeAndConnectHaveOneTime(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("page"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, pages := range map[string]int{"the first request": 0, "a later one": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const timeout = 10 * time.Second
				refused := make(chan error, 1)
				b, err := broker.New(broker.Options{
					Limits: broker.Limits{ConnectTimeout: timeout},
					Events: broker.Events{Refused: func(_ *broker.Client, err error) { refused <- err }},
				})
				if err != nil {
					t.Fatal(err)
				}
				inner := memnet.Listen()
				l, err := New(shaking{inner}, Options{HandshakeTimeout: timeout, HTTPDir: dir})
				if err != nil {
					t.Fatal(err)
				}
				go func() { _ = b.ServeListener(l, broker.ListenerOptions{Admitted: true}) }()
				nc, err := inner.Dial()
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				time.Sleep(4 * time.Second)
				_, _ = io.WriteString(nc, "!") // of the handshake
				r := bufio.NewReader(nc)
				for range pages {
					_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
					a, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, a.Body)
					_ = a.Body.Close()
					time.Sleep(8 * time.Second) // of silence
				}
				if pages > 0 {
					began = time.Now()
				}
				upgrade := request()
				_, _ = io.WriteString(nc, upgrade[:20])
				time.Sleep(4 * time.Second)
				_, _ = io.WriteString(nc, upgrade[20:])
				a, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = a.Body.Close()
				if a.StatusCode != http.StatusSwitchingProtocols {
					t.Fatalf("%+v", a)
				}
				_, _ = nc.Write([]byte{0x82, 0x80 | 1, 0, 0, 0, 0, 0x10}) // CONNECT begins
				if _, err := io.Copy(io.Discard, r); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took < timeout || took > timeout+time.Second {
					t.Errorf("the connection was closed after %v, want %v", took, timeout)
				}
				if err := <-refused; !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("refused with %v", err)
				}
				if err := b.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
