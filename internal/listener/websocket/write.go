package websocket

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// maxWriteFrame is the payload in bytes above which a write is split into several messages, for clients that
	// bound what they receive.
	maxWriteFrame = 1 << 20
	// writeBufferSize is the size of the buffers in which a header is put before its payload. What does not fit goes to the
	// socket from where it is: above 16 KiB, copying costs more than another system call.
	writeBufferSize = 16 << 10
)

// writeBuffers are held while something is written, and by a connection whose socket is full.
var writeBuffers = sync.Pool{New: func() any {
	p := make([]byte, 0, writeBufferSize)
	return &p
}}

// output is what was begun and is not yet written.
type output struct {
	pending []byte  // goes first: the beginning of a frame, or control frames; nil: nothing
	buffer  *[]byte // where pending is, when that is a pooled buffer
	left    int     // bytes of the frame's payload that the caller is still to hand in
	owed    bool    // the layer below has something pending of its own, which only its Write delivers
	closed  bool    // a close frame was put into pending: nothing may follow (RFC 6455, 5.5.1)
}

// Write writes p as one binary message, or several when it is long, and waits until it is written. It first delivers what
// TryWrite left behind, and does that for an empty p too.
func (c *Conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	n, err := c.put(nil, p)
	c.wmu.Unlock()
	if err == nil {
		c.flushAnswers(nil)
	}
	return n, err
}

// TryWrite is Write without waiting: it writes to sock, whose Write fails with EAGAIN when it is full. TryWrite then
// returns how many bytes of p it has taken, and EAGAIN; the caller goes on with Write and the rest of p.
func (c *Conn) TryWrite(sock io.Writer, p []byte) (int, error) {
	c.wmu.Lock() // who else may hold it does not wait, or not long: see flushAnswersSoon
	n, err := c.put(sock, p)
	c.wmu.Unlock()
	if err == nil {
		c.flushAnswers(sock)
	}
	return n, err
}

// put writes p as far as it can, to sock without waiting, or for a nil sock to inner, and returns how many bytes of p it
// has taken. It begins with what is pending; control frames go between frames. wmu is held.
func (c *Conn) put(sock io.Writer, p []byte) (n int, err error) {
	o := &c.out
	if o.owed && sock != nil {
		return 0, syscall.EAGAIN
	}
	for {
		if err := c.flushPending(sock); err != nil {
			return n, err
		}
		switch {
		case o.left > 0 && n < len(p):
			m, err := c.send(sock, p[n:min(len(p), n+o.left)])
			n += m
			o.left -= m
			if err != nil {
				return n, err
			}
		case o.left > 0:
			return n, nil
		case c.takeAnswers():
		case n == len(p):
			return n, nil
		case o.closed:
			return n, net.ErrClosed
		default:
			n += o.begin(p[n:])
		}
	}
}

// begin puts the header and the first bytes of a frame with p's payload into pending and returns how many bytes that were.
func (o *output) begin(p []byte) int {
	size := min(len(p), maxWriteFrame)
	o.buffer = writeBuffers.Get().(*[]byte)
	b := appendHeader((*o.buffer)[:0], size)
	n := min(size, cap(b)-len(b))
	o.pending = append(b, p[:n]...)
	o.left = size - n
	return n
}

// takeAnswers moves the control frames that wait into pending and reports whether there were any.
func (c *Conn) takeAnswers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) == 0 {
		return false
	}
	c.out.pending, c.answers = c.answers, nil
	c.out.closed = c.closing
	return true
}

// flushPending writes what is pending. wmu is held.
func (c *Conn) flushPending(sock io.Writer) error {
	o := &c.out
	for len(o.pending) > 0 || o.owed {
		n, err := c.send(sock, o.pending)
		o.pending = o.pending[n:]
		if err != nil {
			return err
		}
	}
	o.pending = nil
	if o.buffer != nil {
		writeBuffers.Put(o.buffer)
		o.buffer = nil
	}
	return nil
}

// send writes p to sock, or to inner when sock is nil. wmu is held.
func (c *Conn) send(sock io.Writer, p []byte) (n int, err error) {
	switch {
	case sock == nil:
		n, err = c.inner.Write(p)
		c.out.owed = c.out.owed && err != nil
		return n, err
	case c.layer != nil:
		n, err = c.layer.TryWrite(sock, p)
		c.out.owed = err == syscall.EAGAIN //nolint:errorlint // the layers hand this value on as it is
	default:
		n, err = sock.Write(p)
	}
	if err == nil && n < len(p) {
		err = syscall.EAGAIN
	}
	return n, err
}

// flushAnswers writes the control frames that wait, unless somebody else is writing: every writer calls this behind its
// write, so none is left behind. A frame whose rest the caller is still to hand in, or a full socket, leaves them to the
// next write.
func (c *Conn) flushAnswers(sock io.Writer) {
	for c.answersWait() && c.wmu.TryLock() {
		_, err := c.put(sock, nil)
		between := c.out.left == 0
		c.wmu.Unlock()
		if err != nil || !between {
			return
		}
	}
}

// flushAnswersSoon is flushAnswers without a socket handed in: on the socket below if there is one that can be written
// without waiting, otherwise with a short wait.
func (c *Conn) flushAnswersSoon() {
	if sock := c.socket(); sock != nil {
		c.flushAnswers(sock)
		return
	}
	for c.answersWait() && c.wmu.TryLock() {
		_ = c.inner.SetWriteDeadline(time.Now().Add(controlTimeout))
		_, err := c.put(nil, nil)
		between := c.out.left == 0
		c.mu.Lock()
		_ = c.inner.SetWriteDeadline(c.deadline)
		c.mu.Unlock()
		c.wmu.Unlock()
		if err != nil || !between {
			return
		}
	}
}

func (c *Conn) answersWait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.answers) > 0
}
