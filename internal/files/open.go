package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// privileged reports whether the process may do what others may not.
func privileged() bool { return os.Geteuid() == 0 }

// Append opens a file to append to, or makes it with a mode. For root it tells whether the file was made.
func Append(path string, mode fs.FileMode) (f *os.File, made bool, err error) {
	if f, err = standard(path); f != nil || err != nil {
		return f, false, err
	}
	return open(path, os.O_APPEND, mode, privileged())
}

// Create opens a file and empties it, or makes it with a mode.
func Create(path string, mode fs.FileMode) (*os.File, error) {
	return create(path, mode, privileged())
}

func create(path string, mode fs.FileMode, root bool) (*os.File, error) {
	f, made, err := open(path, 0, mode, root)
	if err != nil || made {
		return f, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		return f, nil
	case root && names(info) > 1:
		err = fmt.Errorf("%s has another name as well, and root does not empty what may be another file; remove it", path)
	default:
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// open opens a file to write to, or makes it. root follows the rules of the package.
func open(path string, flags int, mode fs.FileMode, root bool) (f *os.File, made bool, err error) {
	flags |= os.O_WRONLY
	if !root {
		f, err = os.OpenFile(path, flags|os.O_CREATE, mode)
		return f, false, err
	}
	// Two steps tell whether the file was there. In a folder where all may make files, Linux may refuse to root one step for both.
	f, err = os.OpenFile(path, flags|noFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, mode)
		return f, err == nil, err
	}
	if err != nil {
		f, err = openLink(path, flags, err)
	}
	return f, false, err
}

// openLink opens the device or the pipe that a link of root leads to. cause is why path could not be opened.
func openLink(path string, flags int, cause error) (*os.File, error) {
	n, err := pin(path)
	if err != nil {
		return nil, cause
	}
	defer n.close()
	info, err := n.stat()
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return nil, cause
	}
	to, err := n.target()
	if err != nil {
		return nil, cause
	}
	refusal := fmt.Errorf("%s is a link to %s, which root does not follow; name the file itself", path, to)
	if !ownedByRoot(info) {
		return nil, refusal
	}
	f, err := os.OpenFile(to, flags, 0)
	if err != nil {
		return nil, errors.Join(refusal, err)
	}
	if info, err = f.Stat(); err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0 {
		return f, nil
	}
	return nil, errors.Join(refusal, err, f.Close())
}

// standard returns another descriptor of the process's standard output or standard error, if path is a link to it.
func standard(path string) (*os.File, error) {
	if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return nil, nil //nolint:nilerr // whoever opens it gets the error
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	for _, own := range []*os.File{os.Stdout, os.Stderr} {
		if is, err := own.Stat(); err == nil && os.SameFile(info, is) {
			return duplicate(own)
		}
	}
	return nil, nil
}

// leadsTo returns where a link in path with a text leads to.
func leadsTo(path, text string) string {
	if filepath.IsAbs(text) {
		return text
	}
	return filepath.Join(filepath.Dir(path), text)
}
