package netio

import (
	"cmp"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Engine waits for sockets without a goroutine for each. A few goroutines, the event loops, wait for
// all of them: each has a descriptor of epoll that sits in Go's own poller, so that no thread of the
// system blocks. epoll is level-triggered: it tells again of what an owner has not read.
type Engine struct {
	// NewRound makes what a loop hands to owners; it is set before the first socket comes.
	NewRound func() Round
	// Loops is how many event loops there are, 0: one for each processor, negative: none.
	Loops int

	started sync.Once // by the first socket
	loops   []*Loop
	next    atomic.Uint32
}

// start makes the loops, none if the system has none.
func (e *Engine) start() {
	for range max(cmp.Or(e.Loops, runtime.GOMAXPROCS(0)), 0) {
		l, err := newLoop()
		if err != nil {
			return // fewer will do
		}
		l.running.Go(func() { l.run(e.NewRound()) })
		e.loops = append(e.loops, l)
	}
}

// pick returns the loop for one more socket, nil if there is none.
func (e *Engine) pick() *Loop {
	e.started.Do(e.start)
	if len(e.loops) == 0 {
		return nil
	}
	return e.loops[int(e.next.Add(1))%len(e.loops)]
}

// Close ends the loops, and closes the sockets that they watch still.
func (e *Engine) Close() {
	for _, l := range e.loops {
		_ = l.file.Close()
		l.running.Wait()
		l.mu.Lock()
		_, l.bell = sysClose(l.bell), -1
		for _, s := range l.sockets {
			if s != nil {
				_ = s.Close()
			}
		}
		l.mu.Unlock()
	}
}

// Adopt returns a socket of the engine's that is the same as raw's, which may be closed then; nil: there
// is no loop for it.
func (e *Engine) Adopt(raw syscall.RawConn, o Owner) *Socket {
	s := &Socket{}
	if !s.Claim(e, o) {
		return nil
	}
	fd := -1
	_ = raw.Control(func(old uintptr) { fd, _ = sysDup(old) })
	if fd < 0 {
		return nil
	}
	s.fd = int32(fd)
	return s
}

// Loop is one descriptor of epoll with the goroutine that waits for it.
type Loop struct {
	file    *os.File // keeps the descriptor in Go's poller
	epfd    int
	running sync.WaitGroup

	mu      sync.Mutex
	sockets []*Socket // registered, by descriptor
	roused  []*Socket // to be looked at, even if there is nothing to read
	bell    int       // a descriptor of eventfd that says so
}

func newLoop() (*Loop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // so that os.NewFile takes it for one that can be waited for
		_ = syscall.Close(fd)
		return nil, err
	}
	l := &Loop{file: os.NewFile(uintptr(fd), "epoll"), epfd: fd}
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
func (l *Loop) run(r Round) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	events := make([]syscall.EpollEvent, eventBatch)
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n := epollWait(fd, events)
			for i := range n {
				if s := l.find(events[i].Fd); s != nil {
					s.owner.Event(n, r)
				}
			}
			for s := l.called(); s != nil; s = l.called() {
				s.owner.Event(1, r)
			}
			r.Flush()
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

func (l *Loop) find(fd int32) *Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(fd) >= len(l.sockets) { // the bell
		return nil
	}
	return l.sockets[fd]
}

// call has the owner of a socket look at it, if the loop watches that.
func (l *Loop) call(s *Socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.watched {
		l.rouse(s)
	}
}

// rouse is call, with mu held.
func (l *Loop) rouse(s *Socket) {
	l.roused = append(l.roused, s)
	if l.bell >= 0 {
		sysRing(l.bell)
	}
}

// called returns a socket that is to be looked at and that the loop watches still, nil: there is none.
func (l *Loop) called() *Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.roused) > 0 {
		last := len(l.roused) - 1
		s := l.roused[last]
		l.roused[last] = nil
		l.roused = l.roused[:last]
		if s.watched {
			return s
		}
	}
	return nil
}

func (l *Loop) register(s *Socket, what uint32, watched bool) error {
	fd := int(s.fd)
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.sockets) <= fd {
		l.sockets = append(l.sockets, nil)
	}
	op := syscall.EPOLL_CTL_ADD
	if l.sockets[fd] == s {
		op = syscall.EPOLL_CTL_MOD
	}
	err := sysEpollCtl(l.epfd, op, fd, &syscall.EpollEvent{Events: what, Fd: int32(fd)})
	if err != nil {
		return err
	}
	l.sockets[fd], s.watched = s, watched
	if watched && s.owner.Called() { // Call came before
		l.rouse(s)
	}
	return nil
}

func (l *Loop) remove(s *Socket) {
	fd := int(s.fd)
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd >= len(l.sockets) || l.sockets[fd] != s {
		return
	}
	l.sockets[fd], s.watched = nil, false
	_ = sysEpollCtl(l.epfd, syscall.EPOLL_CTL_DEL, fd, nil)
}
