package netio

import (
	"syscall"
	"unsafe"
)

// gather is what one write writes, in several pieces.
type gather struct {
	pieces [8]syscall.Iovec
	n      int
}

func (g *gather) reset() {
	clear(g.pieces[:g.n])
	g.n = 0
}

// add reports whether there was room for p, which is not empty.
func (g *gather) add(p []byte) bool {
	if g.n == len(g.pieces) {
		return false
	}
	g.pieces[g.n].Base = unsafe.SliceData(p)
	g.pieces[g.n].SetLen(len(p))
	g.n++
	return true
}

func (g *gather) write(fd uintptr) (int, error) {
	if g.n == 1 {
		return rawRW(syscall.SYS_WRITE, fd, unsafe.Slice(g.pieces[0].Base, g.pieces[0].Len))
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&g.pieces)), uintptr(g.n))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
