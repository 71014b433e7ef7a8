package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replaceFile puts data in the place of a file at once: it writes a file beside it,
// syncs that to disk and renames it. Where path is a link, the file that it leads to is
// replaced. A file that is mounted by itself, as containers do it, cannot be replaced;
// then its content is, which is not at once.
func replaceFile(path string, data []byte, rename func(from, to string) error) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	old, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if old != nil && !old.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	err = fill(f, data, old)
	if err == nil {
		err = rename(f.Name(), path)
	}
	if err == nil {
		return syncFolder(dir)
	}
	_ = os.Remove(f.Name())
	if errors.Is(err, syscall.EBUSY) {
		return overwriteFile(path, data)
	}
	return err
}

func overwriteFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// fill writes and closes the new file; old is the one that it replaces, if there is one.
func fill(f *os.File, data []byte, old fs.FileInfo) error {
	_, err := f.Write(data)
	if err == nil && old != nil {
		if err = f.Chmod(old.Mode().Perm()); err == nil {
			err = keepOwner(f, old)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
