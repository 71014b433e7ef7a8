package broker

import (
	"errors"
	"io"
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
// One that the broker has accepted itself (accept_linux.go) waits here for CONNECT, too: the first event starts the goroutine that reads it.
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

// close ends the loops, which have no connections any more but those that linger.
func (e *engine) close() {
	for _, l := range e.loops {
		_ = l.file.Close()
		l.running.Wait()
		l.mu.Lock()
		_, l.bell = sysClose(l.bell), -1
		for _, c := range l.conns {
			if c != nil {
				_ = c.nc.Close()
			}
		}
		l.mu.Unlock()
	}
}

// eventLoop is one descriptor of epoll with the goroutine that waits for it.
type eventLoop struct {
	file    *os.File // keeps the descriptor in Go's poller
	epfd    int
	running sync.WaitGroup

	mu     sync.Mutex
	conns  []*conn // registered, by descriptor
	roused []*conn // to be looked at, even if there is nothing to read
	bell   int     // a descriptor of eventfd that says so
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
	l := &eventLoop{file: os.NewFile(uintptr(fd), "epoll"), epfd: fd}
	if l.bell, err = sysEventFD(); err != nil {
		return nil, errors.Join(err, l.file.Close())
	}
	// Edge-triggered: each ringing is told once, so that nobody has to read it away.
	const edge = 1 << 31 // EPOLLET, which package syscall has as a negative number
	err = sysEpollCtl(fd, syscall.EPOLL_CTL_ADD, l.bell, &syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: int32(l.bell)})
	if err != nil {
		return nil, errors.Join(err, sysClose(l.bell), l.file.Close())
	}
	return l, nil
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
			for c := l.called(); c != nil; c = l.called() {
				c.readEvent(1, &r)
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
	if int(fd) >= len(l.conns) { // the bell
		return nil
	}
	return l.conns[fd]
}

// call has the owner of a connection look at it: the loop now, if that is the owner, and else
// whoever is as soon as the loop gets it back.
func (c *conn) call() {
	l := c.event.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.event.watched {
		l.rouse(c)
	}
}

// rouse is call, with mu held.
func (l *eventLoop) rouse(c *conn) {
	l.roused = append(l.roused, c)
	if l.bell >= 0 {
		sysRing(l.bell)
	}
}

// called returns a connection that is to be looked at and that the loop owns still, nil: there is
// none.
func (l *eventLoop) called() *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.roused) > 0 {
		last := len(l.roused) - 1
		c := l.roused[last]
		l.roused[last] = nil
		l.roused = l.roused[:last]
		if c.event.watched {
			return c
		}
	}
	return nil
}

// await registers a connection that has said nothing yet, for one event.
func (l *eventLoop) await(c *conn) error {
	return l.register(c, syscall.EPOLLIN|syscall.EPOLLRDHUP|syscall.EPOLLONESHOT, false)
}

// add registers a connection. From now on the loop owns it.
func (l *eventLoop) add(c *conn) error {
	return l.register(c, syscall.EPOLLIN|syscall.EPOLLRDHUP, true)
}

func (l *eventLoop) register(c *conn, what uint32, watched bool) error {
	fd := int(c.event.fd)
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	op := syscall.EPOLL_CTL_ADD
	if l.conns[fd] == c {
		op = syscall.EPOLL_CTL_MOD
	}
	err := sysEpollCtl(l.epfd, op, fd, &syscall.EpollEvent{Events: what, Fd: int32(fd)})
	if err != nil {
		return err
	}
	l.conns[fd], c.event.watched = c, watched
	if watched && (c.fenced.Load() || c.allowance.Load() != 0) { // call came before
		l.rouse(c)
	}
	return nil
}

// remove is called by who owns the connection, which need not be registered.
func (l *eventLoop) remove(c *conn) {
	fd := int(c.event.fd)
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd >= len(l.conns) || l.conns[fd] != c {
		return
	}
	l.conns[fd], c.event.watched = nil, false
	_ = sysEpollCtl(l.epfd, syscall.EPOLL_CTL_DEL, fd, nil)
}

// adopt makes the connection's socket one of the engine's: a descriptor of its own that Go's poller does not know, which would else
// be woken for each packet, too. It comes before anybody else knows the connection.
func (c *conn) adopt() {
	if c.event != nil || c.raw == nil || c.layer != nil || c.b.options.Load().GoroutinePerConnection {
		return
	}
	loop := c.b.engine.pick()
	if loop == nil {
		return
	}
	fd := -1
	_ = c.raw.Control(func(old uintptr) { fd, _ = sysDup(old) })
	if fd < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.writing { // drain may still write what the authentication has said: it keeps the net.Conn
		_ = syscall.Close(fd)
		return
	}
	ec := &eventConn{fd: int32(fd), client: c.client, loop: loop}
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
			c.unwatch()
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
			c.unwatch()
			c.depart(err)
			return
		}
	}
	if err := c.event.loop.add(c); err != nil {
		c.unwatch()
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

// readEvent reads once, and runs the protocol on that; the first event of a connection that has waited for CONNECT starts its goroutine. The loop calls
// it, with how many connections are ready.
func (c *conn) readEvent(ready int, r *round) {
	if c.event.waiting {
		c.event.waiting = false
		go c.run()
		return
	}
	if c.event.lingering {
		c.discardEvent()
		return
	}
	if c.fenced.Load() {
		c.part(io.EOF) // the cause is known
		return
	}
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
		if c.allowance.Load() > 0 { // it was heard out
			c.part(io.EOF)
		}
		return
	}
	readBuffers.Put(rb)
	if err != nil {
		c.part(err)
		return
	}
	c.mu.Lock()
	hold := c.behind()
	c.mu.Unlock()
	switch {
	case hold || c.unread:
		c.unwatch()
		go c.goOn()
	case c.allowance.Load() > 0:
		c.call()
	}
}

// part ends a connection that its loop owns.
func (c *conn) part(cause error) {
	c.unwatch()
	go c.depart(cause) // it may wait
}

// watchLingering has the loop read what still comes, and end that when it is enough. The loop owns
// the connection from then on, and the wheel of keep alive sees to the time.
func (c *conn) watchLingering() bool {
	if c.event == nil {
		return false
	}
	c.allowance.Store(lingerBytes)
	c.lastSeen.Store(time.Now().UnixNano())
	c.keepAlive = lingerTime
	c.event.lingering = true
	c.b.wheel.add(c, lingerTime)
	if c.event.loop.add(c) != nil {
		c.endLingering()
	}
	return true
}

// discardEvent reads once, and forgets what came.
func (c *conn) discardEvent() {
	rb := readBuffers.Get().(*[]byte)
	n, err := sysRead(uintptr(c.event.fd), *rb)
	readBuffers.Put(rb)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
	case err != nil, n == 0, c.allowance.Add(-int32(n)) <= 0:
		c.endLingering()
	}
}

func (c *conn) endLingering() {
	c.unwatch()
	c.b.wheel.remove(c)
	c.lingered()
}

// depart is the end of a connection of the engine.
func (c *conn) depart(cause error) {
	defer c.release()
	defer c.b.forget(c)
	defer c.contain(&cause, nil) // hooks
	c.finish(cause)
}
