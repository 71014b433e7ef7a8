//go:build !linux

package files

import (
	"io/fs"
	"os"
)

// name is what a path names, a link and not what it leads to.
type name struct{ path string }

func pin(path string) (*name, error) {
	n := &name{path}
	_, err := n.stat()
	return n, err
}

func (n *name) close() {}

func (n *name) stat() (fs.FileInfo, error) { return os.Lstat(n.path) }

// target returns where a link leads to.
func (n *name) target() (string, error) {
	text, err := os.Readlink(n.path)
	return leadsTo(n.path, text), err
}

func (n *name) chown(uid, gid int) error { return os.Lchown(n.path, uid, gid) }
