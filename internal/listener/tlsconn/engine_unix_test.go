//go:build unix

package tlsconn

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// socket is a descriptor that is read and written without waiting.
type socket uintptr

func (s socket) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(s), p)
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (s socket) Write(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		n, err := syscall.Write(int(s), p[total:])
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// engine drives a Conn as package broker does: parked in one RawConn.Read for life, without a buffer.
type engine struct {
	conn *Conn
	raw  syscall.RawConn
}

func newEngine(t testing.TB, conn *Conn) *engine {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return &engine{conn, raw}
}

var readBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// loop hands what arrives to data, until an error.
func (e *engine) loop(data func(p []byte)) error {
	var err error
	parkErr := e.raw.Read(func(fd uintptr) bool {
		p := readBuffers.Get().(*[16 << 10]byte)
		defer readBuffers.Put(p)
		for {
			n, readErr := e.conn.TryRead(socket(fd), p[:])
			if readErr == syscall.EAGAIN {
				return false
			}
			if err = readErr; err != nil {
				return true
			}
			data(p[:n])
		}
	})
	if err == nil {
		err = parkErr
	}
	return err
}

// write writes all of p: what is possible at once, and the rest with waiting.
func (e *engine) write(p []byte) error {
	var n int
	var err error
	if rawErr := e.raw.Write(func(fd uintptr) bool {
		n, err = e.conn.TryWrite(socket(fd), p)
		return true
	}); rawErr != nil {
		return rawErr
	}
	if err == syscall.EAGAIN {
		_, err = e.conn.Write(p[n:])
	}
	return err
}

func (e *engine) hangUp() {
	_ = e.raw.Control(func(fd uintptr) {
		e.conn.TryClose(socket(fd))
		_ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR)
	})
}

func TestReadAndWriteAtTheSameTime(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, version uint16) {
		server, client, _ := connect(t, version)
		const size = 8 << 20
		up, down := make([]byte, size), make([]byte, size)
		_, _ = rand.Read(up)
		_, _ = rand.Read(down)
		e := newEngine(t, server)
		errs := make(chan error, 3)
		send := func(write func([]byte) error, p []byte) {
			var err error
			for size := 1; len(p) > 0 && err == nil; size = (size*3 + 1) % 70_001 {
				n := min(size, len(p))
				err = write(p[:n])
				p = p[n:]
			}
			errs <- err
		}
		go send(e.write, down)
		go send(func(p []byte) error { _, err := client.Write(p); return err }, up)
		go func() {
			got := make([]byte, size)
			_, err := io.ReadFull(client, got)
			if err == nil && !bytes.Equal(got, down) {
				err = errors.New("what the client got differs")
			}
			errs <- err
		}()
		var got []byte
		all := make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- e.loop(func(p []byte) {
				if got = append(got, p...); len(got) == size {
					close(all)
				}
			})
		}()
		for range 3 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		<-all
		if !bytes.Equal(got, up) {
			t.Error("what the server got differs")
		}
		e.hangUp()
		if err := <-ended; err == nil {
			t.Error("the loop ended without an error")
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("client: %v", err)
		}
	})
}

// openssl starts "openssl s_client" against a server that answers each line with itself, and returns what to type into it, what it
// prints, and the end of the server's loop.
func opensslClient(t *testing.T, args ...string) (p *testenv.Process, ended <-chan error) {
	t.Helper()
	path := testenv.Program(t, "openssl", "openssl")
	serverConfig, _ := config(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	der := serverConfig.Certificates[0].Certificate[0]
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cmd := exec.Command(path, append([]string{
		"s_client", "-connect", l.Addr().String(), "-CAfile", ca, "-verify_return_error", "-partial_chain",
	}, args...)...)
	p = testenv.Talk(t, cmd)
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	server := Server(nc, serverConfig)
	_ = server.SetDeadline(time.Now().Add(patience))
	if err := server.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, server)
	end := make(chan error, 1)
	go func() {
		end <- e.loop(func(p []byte) { _ = e.write(append([]byte("echo of "), p...)) })
		e.hangUp()
	}()
	return p, end
}

// Lines that begin with K and k make s_client renew its keys, with and without asking the server to do so too (RFC 8446, 4.6.3).
func TestOpenSSLRenewsKeys(t *testing.T) {
	t.Parallel()
	p, ended := opensslClient(t, "-tls1_3")
	for i, command := range []string{"", "K\n", "k\n", "K\n", "K\n"} {
		word := strings.Repeat("x", i+1)
		if _, err := io.WriteString(p.Input, command); err != nil {
			t.Fatal(err)
		}
		if command != "" {
			p.Next("KEYUPDATE")
		}
		if _, err := io.WriteString(p.Input, word+"\n"); err != nil {
			t.Fatal(err)
		}
		p.Next("echo of " + word)
	}
	if _, err := io.WriteString(p.Input, "Q\n"); err != nil { // a goodbye
		t.Fatal(err)
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("the loop ended with %v", err)
	}
}

func TestOpenSSLMayNotRenegotiate(t *testing.T) {
	t.Parallel()
	p, ended := opensslClient(t, "-tls1_2")
	if _, err := io.WriteString(p.Input, "hello\n"); err != nil {
		t.Fatal(err)
	}
	p.Next("echo of hello")
	if _, err := io.WriteString(p.Input, "R\n"); err != nil {
		t.Fatal(err)
	}
	p.Next("RENEGOTIATING")
	if err := <-ended; err == nil || err == io.EOF {
		t.Errorf("the loop ended with %v", err)
	}
}

// BenchmarkIdle measures what a connection costs while nothing happens, goroutine included: a Conn whose goroutine is parked on the
// socket, and beside it crypto/tls with a goroutine in Read with a buffer of 4 KiB.
func BenchmarkIdle(b *testing.B) {
	serverConfig, clientConfig := config(b)
	clientConfig.ClientSessionCache = nil
	for _, c := range []struct {
		name string
		run  func(nc net.Conn, ready func())
	}{
		{"parked", func(nc net.Conn, ready func()) {
			server := Server(nc, serverConfig)
			if server.HandshakeContext(b.Context()) == nil {
				e := newEngine(b, server)
				ready()
				_ = e.loop(func([]byte) {})
			}
		}},
		{"crypto-tls", func(nc net.Conn, ready func()) {
			server := tls.Server(nc, serverConfig)
			if server.Handshake() == nil {
				ready()
				_, _ = server.Read(make([]byte, 4<<10))
			}
		}},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			clientConfig := clientConfig.Clone()
			clientConfig.MaxVersion = version
			b.Run(c.name+"/"+strings.ReplaceAll(tls.VersionName(version), " ", ""), func(b *testing.B) {
				const connections = 400
				var per float64
				for b.Loop() {
					per = idleBytes(b, connections, clientConfig, c.run)
				}
				b.ReportMetric(per, "B/conn")
			})
		}
	}
}

func inUse() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// idleBytes is the memory of one of n connections. The clients' state of TLS is thrown away; two sockets remain of each.
func idleBytes(b *testing.B, n int, clientConfig *tls.Config, run func(nc net.Conn, ready func())) float64 {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	var open []net.Conn
	before := inUse()
	for range n {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		open = append(open, client, server)
		ready := make(chan struct{})
		wg.Go(func() { run(server, func() { close(ready) }) })
		if err := tls.Client(client, clientConfig).Handshake(); err != nil {
			b.Fatal(err)
		}
		<-ready
	}
	per := float64(inUse()-before) / float64(n)
	for _, c := range open {
		c.Close()
	}
	wg.Wait()
	return per
}
