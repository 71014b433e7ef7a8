package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Owner is the user that files go to.
type Owner struct {
	UID, GID int
	Groups   []int // in which the user is
}

// mayWrite reports whether the user may make files in a folder.
func (o Owner) mayWrite(folder fs.FileInfo) bool {
	const writeAndEnter = 0o3
	uid, gid, ok := owner(folder)
	shift := 0
	switch {
	case !ok || o.UID == 0:
		return true
	case uid == o.UID:
		shift = 6
	case gid == o.GID || slices.Contains(o.Groups, gid):
		shift = 3
	}
	return folder.Mode().Perm()>>shift&writeAndEnter == writeAndEnter
}

// Give makes a file, a socket or a folder that the process has made belong to a user.
func Give(path string, to Owner) error {
	n, err := pin(path)
	if err != nil {
		return err
	}
	defer n.close()
	info, err := n.stat()
	if err != nil {
		return err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s has become a link, and what it leads to is not given away", path)
	case !info.IsDir() && names(info) > 1:
		return fmt.Errorf("%s has another name as well, and may be another file", path)
	}
	return n.chown(to.UID, to.GID)
}

// GiveFolder makes a folder in which a user may not make files belong to the user, with all that is in it. It makes one that is not
// there. What is no folder, a link to one too, stays as it is.
func GiveFolder(dir string, to Owner) error {
	if err := makeFolder(filepath.Clean(dir), to); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || to.mayWrite(info) {
		return err
	}
	return GiveTree(dir, to)
}

// makeFolder makes a folder, and those above it that are not there.
func makeFolder(dir string, to Owner) error {
	const mode = 0o700
	err := os.Mkdir(dir, mode)
	if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeFolder(parent, to); err != nil {
			return err
		}
		err = os.Mkdir(dir, mode)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return Give(dir, to)
}

// GiveTree makes a folder with all that is in it belong to a user, but for files that have a name elsewhere as well.
func GiveTree(dir string, to Owner) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	is, err := root.Stat(".")
	if err != nil {
		return err
	}
	if info, err := os.Lstat(dir); err != nil || !os.SameFile(info, is) {
		return errors.Join(fmt.Errorf("%s is a link, and what it leads to is not given away", dir), err)
	}
	var all []string
	err = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		return err
	}
	for _, path := range slices.Backward(all) { // the folder comes last: until then its new owner can put nothing into it
		info, err := root.Lstat(path)
		if err == nil && (info.IsDir() || names(info) == 1) {
			err = root.Lchown(path, to.UID, to.GID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Renewable returns why the process could not make a file again that was moved away or replaced, as programs do it that rotate
// logs; nil for what is no file.
func Renewable(path string) error {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // it was not there to be moved
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_ = f.Close() // nothing was written
	return mayMakeFiles(filepath.Dir(path))
}
