package broker

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// engine reads sockets without a goroutine for each. A few goroutines, the event loops, wait for all of them: each has a descriptor of epoll that
// sits in Go's own poller, so that no thread of the system blocks. A connection comes here behind CONNECT (conn.adopt, conn.watch), when it is
// a bare socket; those with a layer keep their goroutine.
//
// A connection is owned by its loop while it is registered there, by that of conn.goOn while it is not, and by
// that of conn.depart at its end. One read is made for each event: epoll is level-triggered, so that it tells again of what is left.
type engine struct {
	started sync.Once // by the first connection
	loops   []*eventLoop
	next    atomic.Uint32
}

// start makes the loops, none if the system has none.
func (e *engine) start() {
	for range runtime.GOMAXPROCS(0) {
		l, err := newEventLoop()
		if err != nil {
			return // fewer will do
		}
		l.running.Go(l.run)
		e.loops = append(e.loops, l)
	}
}

// pick returns the loop for one more connection, nil if there is none.
func (e *engine) pick() *eventLoop {
	e.started.Do(e.start)
	if len(e.loops) == 0 {
		return nil
	}
	return e.loops[int(e.next.Add(1))%len(e.loops)]
}

// close ends the loops, which have no connections any more.
func (e *engine) close() {
	for _, l := range e.loops {
		_ = l.file.Close()
		l.running.Wait()
	}
}

// eventLoop is one descriptor of epoll with the goroutine that waits for it.
type eventLoop struct {
	file    *os.File // keeps the descriptor in Go's poller
	epfd    int
	running sync.WaitGroup

	mu    sync.Mutex
	conns []*conn // registered, by descriptor
}

func newEventLoop() (*eventLoop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // so that os.NewFile takes it for one that can be waited for
		_ = syscall.Close(fd)
		return nil, err
	}
	return &eventLoop{file: os.NewFile(uintptr(fd), "epoll"), epfd: fd}, nil
}

// eventBatch is how many events are taken at once.
const eventBatch = 128

// run handles events until the file is closed.
func (l *eventLoop) run() {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	events := make([]syscall.EpollEvent, eventBatch)
	var r round
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n := epollWait(fd, events)
			for i := range n {
				if c := l.find(events[i].Fd); c != nil {
					c.readEvent(n, &r)
				}
			}
			r.flush()
			if n <= 0 {
				return false
			}
			if n == len(events) {
				runtime.Gosched() // after smaller batches it costs more than it gives
			}
		}
	})
}

// epollWait returns what is ready now.
func epollWait(fd uintptr, events []syscall.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (l *eventLoop) find(fd int32) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[fd]
}

// add registers a connection. From now on the loop owns it.
func (l *eventLoop) add(c *conn) error {
	fd := c.event.fd
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[fd] = c
	return syscall.EpollCtl(l.epfd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(fd)})
}

// remove is called by the loop.
func (l *eventLoop) remove(c *conn) {
	fd := c.event.fd
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[fd] = nil
	_ = syscall.EpollCtl(l.epfd, syscall.EPOLL_CTL_DEL, fd, nil)
}

// adopt makes the connection's socket one of the engine's: a descriptor of its own that Go's poller does not know, which would else
// be woken for each packet, too. It comes before anybody else knows the connection.
func (c *conn) adopt() {
	if c.raw == nil || c.layer != nil || c.b.options.Load().GoroutinePerConnection {
		return
	}
	loop := c.b.engine.pick()
	if loop == nil {
		return
	}
	fd := -1
	_ = c.raw.Control(func(old uintptr) {
		n, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		if errno == 0 {
			fd = int(n)
		}
	})
	if fd < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.writing { // drain may still write what the authentication has said: it keeps the net.Conn
		_ = syscall.Close(fd)
		return
	}
	ec := &eventConn{fd: fd, client: c.client, loop: loop}
	_ = c.nc.Close() // the socket stays open
	c.nc, c.raw, c.event = ec, (*eventRaw)(ec), ec
}

// watch has the engine read from now on. rest is what came behind CONNECT.
func (c *conn) watch(rest []byte) {
	c.in = append(c.in, rest...)
	c.unread = len(rest) > 0
	c.goOn()
}

// goOn goes on with a connection that is not registered: with packets that it has still, and then with its socket.
func (c *conn) goOn() {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			c.depart(io.EOF) // the cause is known
			return
		}
		if c.behind() || c.unread && c.throttled() {
			c.event.parked = true // unpause comes back to goOn
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if !c.unread {
			break
		}
		c.unread = false
		if err := c.consumeBatch(nil, nil); err != nil {
			c.depart(err)
			return
		}
	}
	if err := c.event.loop.add(c); err != nil {
		c.event.loop.remove(c)
		c.depart(err)
	}
}

// minShare is the least that a read may return.
const minShare = 4 << 10

// share is how much of a buffer one of some connections that are ready reads into: more messages at once cost less each, but those of the
// connections behind it wait for them. Not so the rest of a large packet, whose beginning is there.
func share(buffer, ready, partial int) int {
	if part := max(buffer/ready, minShare); partial < part {
		return part
	}
	return buffer
}

// readEvent reads once, and runs the protocol on that. The loop calls it, with how many connections are ready.
func (c *conn) readEvent(ready int, r *round) {
	rb := readBuffers.Get().(*[]byte)
	p := (*rb)[:share(len(*rb), ready, len(c.in))]
	n, err := sysRead(uintptr(c.event.fd), p)
	switch {
	case err == nil && n == 0:
		err = io.EOF
	case err == nil:
		err = c.consumeBatch(p[:n], r)
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		readBuffers.Put(rb)
		return
	}
	readBuffers.Put(rb)
	if err != nil {
		c.event.loop.remove(c)
		go c.depart(err) // it may wait
		return
	}
	c.mu.Lock()
	hold := c.behind()
	c.mu.Unlock()
	if hold || c.unread {
		c.event.loop.remove(c)
		go c.goOn()
	}
}

// depart is the end of a connection of the engine.
func (c *conn) depart(cause error) {
	defer c.b.wg.Done()
	defer c.b.forget(c)
	defer c.contain(&cause, nil) // hooks
	c.finish(cause)
}

// eventConn is the socket of a connection of the engine, for all but reading.
type eventConn struct {
	fd     int
	loop   *eventLoop
	client *Client // has the addresses
	parked bool    // not registered, and to be resumed by unpause; guarded by conn.mu

	mu     sync.Mutex // guards what follows, and that fd is open while it is used
	closed bool
	slow   *os.File // a second descriptor, in Go's poller, while somebody waits for the client to take something
}

func (e *eventConn) LocalAddr() net.Addr  { return e.client.LocalAddr }
func (e *eventConn) RemoteAddr() net.Addr { return e.client.RemoteAddr }

// Read is not for here.
func (e *eventConn) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Write waits until the client takes p.
func (e *eventConn) Write(p []byte) (int, error) {
	f, err := e.writer()
	if err != nil {
		return 0, err
	}
	return f.Write(p)
}

func (e *eventConn) writer() (*os.File, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, net.ErrClosed
	}
	if e.slow == nil {
		fd, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(e.fd), syscall.F_DUPFD_CLOEXEC, 0)
		if errno != 0 {
			return nil, errno
		}
		e.slow = os.NewFile(fd, "client") // non-blocking is a property of the socket
	}
	return e.slow, nil
}

// SetWriteDeadline bounds the next Write; the zero time says that there will be none for a while.
func (e *eventConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		e.mu.Lock()
		slow := e.slow
		e.slow = nil
		e.mu.Unlock()
		if slow != nil {
			return slow.Close()
		}
		return nil
	}
	f, err := e.writer()
	if err != nil {
		return err
	}
	return f.SetWriteDeadline(t)
}

// SetReadDeadline ends reading, whatever the time.
func (e *eventConn) SetReadDeadline(time.Time) error {
	return e.use(func(fd uintptr) bool {
		_ = syscall.Shutdown(int(fd), syscall.SHUT_RD)
		return true
	})
}

// SetDeadline is not for here.
func (e *eventConn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// Close implements net.Conn.
func (e *eventConn) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	e.closed = true
	if e.slow != nil {
		_ = e.slow.Close()
	}
	return syscall.Close(e.fd)
}

func (e *eventConn) use(f func(fd uintptr) bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	f(uintptr(e.fd))
	return nil
}

// eventRaw is the socket as a syscall.RawConn.
type eventRaw eventConn

func (r *eventRaw) Control(f func(fd uintptr)) error {
	return (*eventConn)(r).use(func(fd uintptr) bool {
		f(fd)
		return true
	})
}

// Read is not for here.
func (r *eventRaw) Read(func(fd uintptr) bool) error { return errors.ErrUnsupported }

// Write calls f once.
func (r *eventRaw) Write(f func(fd uintptr) bool) error { return (*eventConn)(r).use(f) }
