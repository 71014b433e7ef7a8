package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// echo echoes with plain reads and writes.
func echo(c *Conn) error {
	p := make([]byte, 5000)
	for {
		n, err := c.Read(p)
		if err != nil {
			return err
		}
		if _, err := c.Write(p[:n]); err != nil {
			return err
		}
	}
}

// somebodyElse is somebody else's client, connected to a Conn of ours that echoes.
type somebodyElse struct {
	*websocket.Conn
	ours *Conn
	end  chan error // how the echo ended
}

// interop runs a test with each way that a Conn is used.
func interop(t *testing.T, test func(t *testing.T, dial func(t *testing.T) somebodyElse)) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		tls  bool
		echo func(*Conn) error
	}{{"blocking", false, echo}, {"parked", false, echoParked}, {"TLS", true, echo}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			scheme := "ws"
			if tc.tls {
				inner, scheme = tls.NewListener(inner, testTLS(t)), "wss"
			}
			s := listenOn(t, inner, Options{MaxFrame: 1 << 20})
			test(t, func(t *testing.T) somebodyElse {
				url := fmt.Sprintf("%s://%s/mqtt", scheme, s.Addr())
				return dialSomebodyElse(t, s, url, tc.echo)
			})
		})
	}
}

func dialSomebodyElse(t *testing.T, s *server, url string, echo func(*Conn) error) somebodyElse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	theirs, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{"mqtt"}, CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		defer response.Body.Close()
	}
	if theirs.Subprotocol() != "mqtt" {
		t.Errorf("sub-protocol %q", theirs.Subprotocol())
	}
	theirs.SetReadLimit(-1)
	e := somebodyElse{theirs, s.accept(t), make(chan error, 1)}
	go func() { e.end <- echo(e.ours) }()
	t.Cleanup(func() { _ = theirs.CloseNow() })
	return e
}

func (e somebodyElse) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-e.end:
		return err
	case <-time.After(patience):
		t.Fatal("the echo goes on")
		return nil
	}
}

func TestSomebodyElsesMessagesAreEchoed(t *testing.T) {
	interop(t, func(t *testing.T, dial func(t *testing.T) somebodyElse) {
		e := dial(t)
		var want []byte
		done := make(chan error, 1)
		parts := make([][]byte, 0, 45)
		for i := range cap(parts) {
			part := make([]byte, i*i*i)
			for j := range part {
				part[j] = byte(rand.Uint32())
			}
			parts = append(parts, part)
			want = append(want, part...)
		}
		go func() {
			for i, part := range parts {
				if err := writeMessage(t.Context(), e.Conn, part, i%2 == 0); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		nc := websocket.NetConn(t.Context(), e.Conn, websocket.MessageBinary)
		_ = nc.SetDeadline(time.Now().Add(patience))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("what came back differs, error %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// writeMessage writes a message whole, or in fragments of the client's choice.
func writeMessage(ctx context.Context, c *websocket.Conn, p []byte, whole bool) error {
	if whole {
		return c.Write(ctx, websocket.MessageBinary, p)
	}
	w, err := c.Writer(ctx, websocket.MessageBinary)
	if err != nil {
		return err
	}
	for len(p) > 0 {
		n, err := w.Write(p[:min(len(p), 10_000)])
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return w.Close()
}

func TestSomebodyElsesPingIsAnswered(t *testing.T) {
	interop(t, func(t *testing.T, dial func(t *testing.T) somebodyElse) {
		e := dial(t)
		ctx, cancel := context.WithTimeout(e.CloseRead(t.Context()), patience)
		defer cancel()
		for range 3 {
			if err := e.Ping(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestSomebodyElsesCloseIsAnswered(t *testing.T) {
	interop(t, func(t *testing.T, dial func(t *testing.T) somebodyElse) {
		e := dial(t)
		if err := e.Close(websocket.StatusGoingAway, "bye"); err != nil {
			t.Errorf("their side: %v", err)
		}
		if err := e.ended(t); err != io.EOF {
			t.Errorf("our side: %v, want EOF", err)
		}
	})
}

func TestSomebodyElseSeesWhyItIsClosed(t *testing.T) {
	for _, tc := range []struct {
		name string
		code websocket.StatusCode
		do   func(ctx context.Context, e somebodyElse) error
	}{
		{"text", websocket.StatusUnsupportedData, func(ctx context.Context, e somebodyElse) error {
			return e.Write(ctx, websocket.MessageText, []byte("hello"))
		}},
		{"too big", websocket.StatusMessageTooBig, func(ctx context.Context, e somebodyElse) error {
			_ = e.Write(ctx, websocket.MessageBinary, []byte(strings.Repeat("x", 2<<20))) // may fail: we do not read it all
			return nil
		}},
		{"broker closes", websocket.StatusNormalClosure, func(_ context.Context, e somebodyElse) error {
			return e.ours.Close()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			interop(t, func(t *testing.T, dial func(t *testing.T) somebodyElse) {
				e := dial(t)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := tc.do(ctx, e); err != nil {
					t.Fatal(err)
				}
				_, _, err := e.Read(ctx)
				if code := websocket.CloseStatus(err); code != tc.code {
					t.Errorf("their side: %v, want close code %d", err, tc.code)
				}
				ended := e.ended(t)
				var wsErr *Error
				if errors.As(ended, &wsErr) != (tc.code != websocket.StatusNormalClosure) {
					t.Errorf("our side: %v", ended)
				}
			})
		})
	}
}
