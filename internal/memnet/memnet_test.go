package memnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/internal/memnet"
)

func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := memnet.Listen()
	client, err := l.Dial()
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func mustWrite(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", text, n, err)
	}
}

func TestPeerReadsWhatWasWrittenThenEOF(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	mustWrite(t, client, "hello ")
	mustWrite(t, client, "world")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(server)
	if string(got) != "hello world" || err != nil {
		t.Fatalf("ReadAll = %q, %v", got, err)
	}
}

func TestCloseWriteLeavesReadingOpen(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	if err := client.(*memnet.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the peer's Read: %v, want io.EOF", err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Write after CloseWrite: %v", err)
	}
	mustWrite(t, server, "bye")
	p := make([]byte, 8)
	if n, err := client.Read(p); string(p[:n]) != "bye" || err != nil {
		t.Fatalf("Read = %q, %v", p[:n], err)
	}
	if err := client.Close(); err != nil {
		t.Fatalf("Close after CloseWrite: %v", err)
	}
}

func TestClosedEndFailsWithErrClosedAndItsPeerWithEPIPE(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	mustWrite(t, server, "lost")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
	if err := client.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetDeadline: %v", err)
	}
	if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the peer's Write: %v", err)
	}
}

func TestCloseWakesBlockedReadAndWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t)
		mustWrite(t, client, string(make([]byte, memnet.MaxBuffered)))
		readErr, writeErr := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := client.Read(make([]byte, 1))
			readErr <- err
		}()
		go func() {
			_, err := client.Write([]byte("one too many"))
			writeErr <- err
		}()
		synctest.Wait()
		if len(readErr)+len(writeErr) != 0 {
			t.Fatal("Read or Write did not block")
		}
		client.Close()
		if err := <-readErr; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: %v", err)
		}
		if err := <-writeErr; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v", err)
		}
		server.Close()
	})
}

func TestWriteBlocksAtTheBoundUntilThePeerReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t)
		want := bytes.Repeat([]byte("0123456789"), memnet.MaxBuffered/9)
		done := make(chan error, 1)
		go func() {
			_, err := client.Write(want)
			client.Close()
			done <- err
		}()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("Write did not block")
		}
		got, err := io.ReadAll(server)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d bytes, %v; want %d", len(got), err, len(want))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestReadDeadlineInVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t)
		start := time.Now()
		if err := client.SetReadDeadline(start.Add(3 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, err := client.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Read: %v", err)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is not a timeout", err)
		}
		if waited := time.Since(start); waited != 3*time.Hour {
			t.Errorf("waited %v", waited)
		}
		mustWrite(t, server, "x")
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read after the deadline, with data: %v", err)
		}
		if err := client.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("Read without deadline = %d, %v", n, err)
		}
	})
}

func TestExtendedDeadlineReplacesTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := pair(t)
		start := time.Now()
		read := make(chan time.Duration, 1)
		_ = client.SetReadDeadline(start.Add(time.Second))
		go func() {
			_, _ = client.Read(make([]byte, 1))
			read <- time.Since(start)
		}()
		synctest.Wait()
		_ = client.SetReadDeadline(start.Add(time.Minute))
		if waited := <-read; waited != time.Minute {
			t.Errorf("Read ended after %v", waited)
		}
	})
}

func TestWriteEndsAtItsDeadlineWithWhatFitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := pair(t)
		mustWrite(t, client, string(make([]byte, memnet.MaxBuffered-1)))
		_ = client.SetDeadline(time.Now().Add(time.Second))
		n, err := client.Write([]byte("ab"))
		if n != 1 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write = %d, %v", n, err)
		}
		if _, err := client.Write([]byte("c")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write after the deadline: %v", err)
		}
		_ = client.SetDeadline(time.Now().Add(-time.Second))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read with a past deadline: %v", err)
		}
		client.Close()
	})
}

func TestListenerCloseRefusesAndClosesWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := memnet.Listen()
		waiting, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := waiting.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("Read of the connection nobody accepted: %v", err)
		}
		if _, err := l.Dial(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestListenerCloseWakesAcceptAndFullDial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		idle, full := memnet.Listen(), memnet.Listen()
		for range memnet.Backlog {
			if _, err := full.Dial(); err != nil {
				t.Fatal(err)
			}
		}
		errs := make(chan error, 2)
		go func() {
			_, err := idle.Accept()
			errs <- err
		}()
		go func() {
			_, err := full.Dial()
			errs <- err
		}()
		synctest.Wait()
		if len(errs) != 0 {
			t.Fatal("Accept or Dial did not block")
		}
		idle.Close()
		full.Close()
		for range 2 {
			if err := <-errs; err == nil {
				t.Error("Accept or Dial succeeded on a closed listener")
			}
		}
	})
}

func TestAddressesOfBothEndsFit(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	if got := client.LocalAddr().String(); got != "memory:1" || got != server.RemoteAddr().String() {
		t.Errorf("client %v, seen as %v", got, server.RemoteAddr())
	}
	host, port, err := net.SplitHostPort(server.LocalAddr().String())
	if host != "memory" || port != "0" || err != nil || server.LocalAddr().Network() != "memory" {
		t.Errorf("server %q %q %v", host, port, err)
	}
	a, b := memnet.Pipe()
	mustWrite(t, a, "x")
	if n, err := b.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("Pipe: Read = %d, %v", n, err)
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	const writers, each = 4, 500
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				_ = client.SetWriteDeadline(time.Now().Add(time.Minute))
				if _, err := client.Write([]byte("abcd")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	total := make(chan int)
	go func() {
		got, _ := io.ReadAll(server)
		total <- len(got)
	}()
	wg.Wait()
	client.Close()
	if got := <-total; got != writers*each*4 {
		t.Errorf("read %d bytes", got)
	}
}
