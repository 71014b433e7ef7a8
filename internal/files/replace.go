package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Replace puts data in the place of a file at once: it writes a file beside it, syncs that to disk and renames it. Who reads the file
// meanwhile sees the old one or the new one, and so does who reads it after a crash. Where there was none it makes one that its
// owner alone may read.
//
// A new file has the old one's mode, and its owner and group as far as the process may give it to them. Where path is a link, the
// file that it leads to is replaced; root follows links of its own alone. A file that cannot be replaced, since it is mounted by
// itself as containers do it, or since the process may write the file and not its folder, is written over, which is not at once.
func Replace(path string, data []byte) error {
	return system{os.Rename, (*os.File).Chown, privileged()}.replace(path, data)
}

// system is what Replace needs of the system, and may be refused.
type system struct {
	rename func(from, to string) error
	chown  func(f *os.File, uid, gid int) error
	root   bool
}

func (s system) replace(path string, data []byte) error {
	path, err := s.resolve(path)
	if err != nil {
		return err
	}
	old, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if old != nil && !old.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	err = s.renameNew(path, data, old)
	if old == nil || !errors.Is(err, syscall.EBUSY) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if also := s.overwrite(path, data); also != nil {
		return fmt.Errorf("%w; and %w", err, also)
	}
	return nil
}

// resolve follows links.
func (s system) resolve(path string) (string, error) {
	n, err := pin(path)
	if err != nil {
		return path, nil //nolint:nilerr // there is none, or the attempt to write tells why not
	}
	defer n.close()
	info, err := n.stat()
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return path, err
	}
	to, err := n.target()
	if err != nil {
		return "", err
	}
	if s.root && !ownedByRoot(info) {
		return "", fmt.Errorf("%s is a link to %s and not root's, so root does not follow it; name the file itself", path, to)
	}
	target, err := filepath.EvalSymlinks(to)
	if errors.Is(err, fs.ErrNotExist) {
		return to, nil // the file is made there
	}
	return target, err
}

// renameNew writes a file and gives it the name of the old one; nil: there is none.
func (s system) renameNew(path string, data []byte, old fs.FileInfo) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && old != nil {
		err = s.makeAlike(f, old)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = s.rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(dir)
}

// makeAlike gives a file the mode of an old one, and its owner and group as far as that is allowed: a user may give files to no other
// one, and only to groups of its own.
func (s system) makeAlike(f *os.File, old fs.FileInfo) error {
	if uid, gid, ok := owner(old); ok && s.chown(f, uid, gid) != nil {
		_ = s.chown(f, -1, gid) // without it the file is the process's, as any that it makes
	}
	return f.Chmod(old.Mode().Perm()) // chown may clear bits
}

// overwrite writes data in the place of what is in a file.
func (s system) overwrite(path string, data []byte) error {
	flags := os.O_WRONLY
	if s.root {
		flags |= noFollow
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Truncate(int64(len(data)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
