package files

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// name is what a path names, a link and not what it leads to. It stays the same if something else takes its place.
type name struct{ f *os.File }

func pin(path string) (*name, error) {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return &name{f}, nil
}

func (n *name) close() { _ = n.f.Close() } // nothing was written

func (n *name) stat() (fs.FileInfo, error) { return n.f.Stat() }

// target returns where a link leads to.
func (n *name) target() (string, error) {
	text := make([]byte, unix.PathMax)
	length, err := unix.Readlinkat(int(n.f.Fd()), "", text)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: n.f.Name(), Err: err}
	}
	return leadsTo(n.f.Name(), string(text[:length])), nil
}

func (n *name) chown(uid, gid int) error {
	if err := unix.Fchownat(int(n.f.Fd()), "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "chown", Path: n.f.Name(), Err: err}
	}
	return nil
}
