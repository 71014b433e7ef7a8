package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/uniomq/unio/internal/cli/account"
	"github.com/uniomq/unio/internal/files"
)

// pidFile is a file with the process id. It is open until the end, when the user may not open it any more; nil for none.
type pidFile struct {
	f       *os.File
	regular bool // not a device, say
}

// writePID writes the process id to a file, which then is who's if that is not nil; an
// empty path is none.
func writePID(path string, who *account.Account) (*pidFile, error) {
	if path == "" {
		return nil, nil
	}
	const mode = 0o644 // what starts and stops the broker may be another user
	f, err := files.Create(path, mode)
	if err != nil {
		return nil, fmt.Errorf("pid_file: %w", err)
	}
	p := &pidFile{f: f}
	err = p.fill(who)
	if err != nil {
		p.remove()
		return nil, fmt.Errorf("pid_file: %w", err)
	}
	return p, nil
}

func (p *pidFile) fill(who *account.Account) error {
	if _, err := fmt.Fprintln(p.f, os.Getpid()); err != nil {
		return err
	}
	info, err := p.f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	p.regular = true
	if who == nil {
		return nil
	}
	return p.f.Chown(who.UID, who.GID)
}

// remove removes the file, unless another one has its name now.
func (p *pidFile) remove() {
	if p == nil {
		return
	}
	defer p.f.Close()
	is, err := p.f.Stat()
	if err != nil || !p.regular {
		return
	}
	if named, err := os.Lstat(p.f.Name()); err != nil || !os.SameFile(is, named) {
		return
	}
	if errors.Is(os.Remove(p.f.Name()), fs.ErrPermission) { // the folder is root's
		_ = p.f.Truncate(0) // no process id rather than one that will be another's
	}
}
