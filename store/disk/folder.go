package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// build makes dir with fill, which is given a folder beside it. The folder becomes dir by a rename, when everything in it is on the disk.
func (o *NewFolder) build(dir string, fill func(folder string) error) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	old, err := lockOld(dir, o.Replace)
	if err != nil {
		return err
	}
	defer func() {
		if old != nil {
			err = errors.Join(err, old.Close())
		}
	}()
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(parent, filepath.Base(dir)+".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	if err := fill(folder); err != nil {
		return err
	}
	if o.Finish != nil {
		if err := o.Finish(folder); err != nil {
			return err
		}
	}
	if err := syncFolder(folder); err != nil {
		return err
	}
	if old != nil && runtime.GOOS == "windows" { // which renames no folder with an open file
		if err := old.Close(); err != nil {
			return err
		}
		old = nil
	}
	return putInPlace(folder, dir)
}

// lockOld holds the folder that is there before, so that no broker opens it meanwhile; nil if there is none.
func lockOld(dir string, replace bool) (*pebble.Lock, error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s: expected a folder", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, nil
	}
	if is, err := isStore(dir); err != nil || !is {
		return nil, errors.Join(fmt.Errorf("%s: %w: it is not a store at all", dir, ErrNotEmpty), err)
	}
	r, err := OpenReader(dir)
	if errors.Is(err, ErrInUse) || err != nil && !replace {
		return nil, err
	}
	if err != nil { // damaged, say: a reason to replace it
		lock, lockErr := pebble.LockDirectory(dir, vfs.Default)
		if lockErr != nil {
			return nil, fmt.Errorf("%s: %w (%w)", dir, ErrInUse, lockErr)
		}
		return lock, nil
	}
	empty, err := r.empty()
	if err == nil && !empty && !replace {
		err = fmt.Errorf("%s: %w", dir, ErrNotEmpty)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r.release()
}

// isStore reports whether the library has made the folder.
func isStore(dir string) (bool, error) {
	d, err := pebble.Peek(dir, vfs.Default)
	return err == nil && d.Exists, err
}

// putInPlace renames folder to dir. What was there goes behind it, and then away.
func putInPlace(folder, dir string) error {
	old := folder + ".old"
	err := os.Rename(dir, old)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = ""
	case err != nil:
		return err
	}
	if err := os.Rename(folder, dir); err != nil {
		if old != "" {
			err = errors.Join(err, os.Rename(old, dir))
		}
		return err
	}
	if err := syncDirectory(filepath.Dir(dir)); err != nil {
		return err
	}
	if old != "" {
		return os.RemoveAll(old)
	}
	return nil
}

// syncFolder forces a folder and the files in it to the disk.
func syncFolder(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(folder, e.Name()), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return syncDirectory(folder)
}

// syncDirectory forces the names in a folder to the disk. Windows has no such thing.
func syncDirectory(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// CheckEmpty returns nil if Import and Restore would make dir: there is nothing, or an empty store. Else the error is ErrNotEmpty, ErrInUse, or of
// reading.
func CheckEmpty(dir string) error {
	lock, err := lockOld(dir, false)
	if err != nil || lock == nil {
		return err
	}
	return lock.Close()
}
