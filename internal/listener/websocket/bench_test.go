package websocket

import (
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// BenchmarkDecode/64B measures one frame in a read, in place.
func BenchmarkDecode(b *testing.B) {
	for _, bc := range []struct {
		name string
		size int
	}{{"64B", 64}, {"16KiB", 16 << 10}} {
		b.Run(bc.name, func(b *testing.B) {
			stream := []byte(clientFrame(fin|opBinary, strings.Repeat("x", bc.size)))
			p := make([]byte, len(stream))
			d := decoder{max: testMax}
			b.ReportAllocs()
			b.SetBytes(int64(bc.size))
			for b.Loop() {
				copy(p, stream)
				if d.decode(p) != bc.size {
					b.Fatal(d.err)
				}
			}
		})
	}
}

// BenchmarkTryWrite measures one message to a socket that takes it.
func BenchmarkTryWrite(b *testing.B) {
	c, _, _ := newFake()
	p := make([]byte, 64)
	sock := discard{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.TryWrite(sock, p); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkIdleConnections measures what 1000 idle connections hold, after each has sent a message and got it back: heap
// in bytes per connection, of which the sockets of both ends are the first figure, and stacks of parked goroutines.
func BenchmarkIdleConnections(b *testing.B) {
	const n = 1000
	for b.Loop() {
		sockets := measure(b, func(hold func(io.Closer)) { idleSockets(b, n, hold) })
		upgraded := measure(b, func(hold func(io.Closer)) { idleConns(b, n, hold) })
		b.ReportMetric(float64(sockets.HeapAlloc)/n, "sockets-heap-B/conn")
		b.ReportMetric(float64(int64(upgraded.HeapAlloc)-int64(sockets.HeapAlloc))/n, "websocket-heap-B/conn")
		b.ReportMetric(float64(upgraded.StackInuse)/n, "parked-stack-B/conn")
	}
}

// measure returns what do holds on to.
func measure(b *testing.B, do func(hold func(io.Closer))) (held runtime.MemStats) {
	b.Helper()
	var before, after runtime.MemStats
	holding := make([]io.Closer, 0, 10_000)
	settle(&before)
	do(func(c io.Closer) { holding = append(holding, c) })
	settle(&after)
	for _, c := range slices.Backward(holding) {
		_ = c.Close()
	}
	held.HeapAlloc = after.HeapAlloc - before.HeapAlloc
	held.StackInuse = after.StackInuse - before.StackInuse
	return held
}

// settle collects garbage, and twice more what pools and finalizers hold.
func settle(m *runtime.MemStats) {
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(m)
}

func idleSockets(b *testing.B, n int, hold func(io.Closer)) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for range n {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		hold(client)
		ours, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		hold(ours)
	}
}

func idleConns(b *testing.B, n int, hold func(io.Closer)) {
	b.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	l, err := New(inner, Options{})
	if err != nil {
		b.Fatal(err)
	}
	hold(l)
	var parked sync.WaitGroup
	hold(closer(parked.Wait))
	hello := clientFrame(fin|opBinary, "hello")
	answer := make([]byte, 1000)
	for range n {
		client, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		hold(client)
		if _, err := io.WriteString(client, request()+hello); err != nil {
			b.Fatal(err)
		}
		nc, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		parked.Go(func() { _ = echoParked(nc.(*Conn)); _ = nc.Close() })
		for got := 0; !strings.HasSuffix(string(answer[:got]), "\x82\x05hello"); {
			m, err := client.Read(answer[got:])
			if err != nil {
				b.Fatal(err)
			}
			got += m
		}
	}
}

type closer func()

func (c closer) Close() error { c(); return nil }
