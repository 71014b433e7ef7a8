package disk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// A running broker is asked for a backup through a Unix socket in the store's folder: whoever may enter the folder may ask. The
// question is one line, the answer is another, and the backup behind it. That the asker goes away ends the backup.
const (
	socketName = "backup.sock"
	question   = "backup 1\n"
	accepted   = "ok\n"
)

// How long the two wait for each other, and how long a line may be.
const (
	askTimeout  = 10 * time.Second // for the question, and for the broker to take the connection
	copyTimeout = time.Minute      // for the other side to take or give anything more
	maxLine     = 4096
)

// ErrNoBackups says that the process that has the store open cannot be asked for a backup.
var ErrNoBackups = errors.New("the process that has the store open cannot be asked for a backup")

// askable reports whether the system is one where the socket was tried.
const askable = runtime.GOOS != "windows"

// desk answers questions until the store is closed.
type desk struct {
	s        *Store
	listener net.Listener
	mu       sync.Mutex
	conns    map[net.Conn]struct{} // nil: closed
	busy     sync.WaitGroup
}

// ListenForBackups lets others ask for backups, with AskBackup, until Close. On Windows it does nothing.
func (s *Store) ListenForBackups() error {
	if !askable {
		return nil
	}
	// Of a process that was killed. What a backup was prepared from would keep files on the disk that the store has no use for any more.
	if err := os.Remove(filepath.Join(s.dir, socketName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.fs.RemoveAll(s.fs.PathJoin(s.dir, checkpointName)); err != nil {
		return err
	}
	var l net.Listener
	err := shortened(s.dir, func(dir string) (err error) {
		l, err = net.Listen("unix", filepath.Join(dir, socketName))
		return err
	})
	if err != nil {
		return fmt.Errorf("store: %s: listen for those who ask for a backup: %w", s.dir, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the path may be a short one that is gone
	d := &desk{s: s, listener: l, conns: make(map[net.Conn]struct{})}
	s.helpers.Go(d.serve)
	s.helpers.Go(func() {
		<-s.stop
		d.close()
	})
	return nil
}

// serve accepts until close.
func (d *desk) serve() {
	defer d.busy.Wait()
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		if d.conns == nil {
			d.mu.Unlock()
			_ = c.Close() // too late
			return
		}
		d.conns[c] = struct{}{}
		d.mu.Unlock()
		d.busy.Go(func() {
			d.answer(c)
			d.mu.Lock()
			delete(d.conns, c)
			d.mu.Unlock()
			_ = c.Close() // the asker sees by the end of the backup that it is whole
		})
	}
}

// close ends the answers that are being given, too.
func (d *desk) close() {
	_ = d.listener.Close()
	_ = os.Remove(filepath.Join(d.s.dir, socketName)) // one that stays is removed at the next start
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		_ = c.Close()
	}
	d.conns = nil
}

func (d *desk) answer(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(askTimeout))
	if line, err := readLine(bufio.NewReaderSize(c, 16)); err != nil || line != question {
		return
	}
	begun := false
	err := d.s.backup(func(folder string) error {
		begun = true
		w := bufio.NewWriterSize(patient{c}, 1<<16)
		if _, err := w.WriteString(accepted); err != nil {
			return err
		}
		if err := writeBackup(w, d.s.fs, folder); err != nil {
			return err
		}
		return w.Flush()
	})
	switch {
	case err != nil && !begun:
		d.s.log.Error(fmt.Sprintf("store: %s: backup: %v", d.s.dir, err))
		_, _ = io.WriteString(patient{c}, "error: "+strings.ReplaceAll(err.Error(), "\n", "; ")+"\n")
	case err != nil:
		d.s.log.Warn(fmt.Sprintf("store: %s: a backup was not finished: %v", d.s.dir, err))
	default:
		d.s.log.Info(fmt.Sprintf("store: %s: a backup was made", d.s.dir))
	}
}

// patient waits copyTimeout for each piece.
type patient struct{ net.Conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(copyTimeout)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(copyTimeout)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < maxLine {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		if line = append(line, b); b == '\n' {
			return string(line), nil
		}
	}
	return "", errors.New("the line is too long")
}

// AskBackup asks the process that has the store open for a backup, and writes it to w. It has checked it when it returns nil. The error
// may be ErrNoBackups.
func AskBackup(w io.Writer, dir string) (Manifest, error) {
	if !askable {
		return Manifest{}, fmt.Errorf("%s: %w: on Windows, stop it first", dir, ErrNoBackups)
	}
	var c net.Conn
	err := shortened(dir, func(dir string) (err error) {
		c, err = net.DialTimeout("unix", filepath.Join(dir, socketName), askTimeout)
		return err
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w: %w", dir, ErrNoBackups, err)
	}
	defer func() { _ = c.Close() }() // everything was read, or nothing matters any more
	if _, err := io.WriteString(patient{c}, question); err != nil {
		return Manifest{}, err
	}
	r := bufio.NewReaderSize(patient{c}, 1<<16)
	line, err := readLine(r)
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: the broker does not answer: %w", dir, err)
	}
	if line != accepted {
		return Manifest{}, fmt.Errorf("%s: the broker makes no backup: %s", dir, strings.TrimSpace(strings.TrimPrefix(line, "error: ")))
	}
	m, err := CheckBackup(io.TeeReader(r, w))
	if err != nil {
		return m, err
	}
	_, err = io.Copy(w, r) // what ends a tar file
	return m, err
}

// maxSocketPath is what every system takes as the path of a socket.
const maxSocketPath = 100

// shortened calls fn with the folder, or with a short name for it when the path of its socket is longer than a system takes.
func shortened(dir string, fn func(dir string) error) (err error) {
	if len(filepath.Join(dir, socketName)) <= maxSocketPath {
		return fn(dir)
	}
	target, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	short, err := os.MkdirTemp("", "unio")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(short)) }()
	link := filepath.Join(short, "s")
	if err := os.Symlink(target, link); err != nil {
		return err
	}
	return fn(link)
}
