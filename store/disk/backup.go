package disk

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A backup is a tar file: first manifestName, then the store's files below filesFolder, and at the end sumsName, which
// has the SHA-256 of each file before it, as sha256sum(1) writes and checks them. Without that end it is not whole.
const (
	manifestName = "backup.json"
	filesFolder  = "store/"
	sumsName     = "SHA256SUMS"
	backupFormat = 1
)

// Manifest says what a backup is of.
type Manifest struct {
	Format  int       `json:"format"` // of the backup
	Store   int       `json:"store"`  // format of the store in it
	Created time.Time `json:"created"`
}

// ErrBackup says that a backup is damaged, or not whole.
var ErrBackup = errors.New("the backup cannot be used")

// maxMeta is the size of manifest and sums that is read at most, in bytes.
const maxMeta = 64 << 20

// checkpointName is the folder, in the store's own, in which a backup is prepared.
const checkpointName = "checkpoint"

// Backup writes a copy of the store as it is now, while it goes on. One at a time.
func (s *Store) Backup(w io.Writer) error {
	return s.backup(func(folder string) error { return writeBackup(w, s.fs, folder) })
}

// backup calls fn with a folder that has the store as it is now.
func (s *Store) backup(fn func(folder string) error) (err error) {
	if !s.copying.TryLock() {
		return errors.New("another backup is being made")
	}
	defer s.copying.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	folder := s.fs.PathJoin(s.dir, checkpointName)
	if err := s.fs.RemoveAll(folder); err != nil { // of a process that ended within a backup
		return err
	}
	defer func() { err = errors.Join(err, s.fs.RemoveAll(folder)) }()
	// The log is flushed, not only what was synced: what comes after an acknowledgement is in the backup, and what is in it comes from
	// one moment, because a batch is in the log as a whole or not at all.
	if err := s.db.Checkpoint(folder, pebble.WithFlushedWAL()); err != nil {
		return err
	}
	return fn(folder)
}

// BackupFolder writes a copy of a store that no broker has open. The error may be ErrInUse or ErrNoStore.
func BackupFolder(w io.Writer, dir string) error {
	r, err := OpenReader(dir) // which finds out whether it is a store of ours
	if err != nil {
		return err
	}
	lock, err := r.release()
	if err != nil {
		return err
	}
	return errors.Join(writeBackup(w, vfs.Default, dir), lock.Close())
}

// writeBackup writes a folder that nobody changes.
func writeBackup(w io.Writer, fs vfs.FS, folder string) error {
	names, err := fs.List(folder)
	if err != nil {
		return err
	}
	b := &backup{tar: tar.NewWriter(w), at: time.Now().UTC().Truncate(time.Second)}
	manifest, err := json.Marshal(Manifest{Format: backupFormat, Store: format, Created: b.at})
	if err != nil {
		return err
	}
	if err := b.add(manifestName, int64(len(manifest)), bytes.NewReader(manifest)); err != nil {
		return err
	}
	for _, name := range names {
		if err := b.addFile(fs, fs.PathJoin(folder, name), name); err != nil {
			return err
		}
	}
	if err := b.add(sumsName, int64(b.sums.Len()), &b.sums); err != nil {
		return err
	}
	return b.tar.Close()
}

type backup struct {
	tar  *tar.Writer
	at   time.Time
	sums bytes.Buffer
}

// lockName is the file that says who has a folder open. It holds nothing.
const lockName = "LOCK"

func (b *backup) addFile(fs vfs.FS, path, name string) error {
	info, err := fs.Stat(path)
	if err != nil || !info.Mode().IsRegular() || name == lockName {
		return err
	}
	f, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	return errors.Join(b.add(filesFolder+name, info.Size(), f), f.Close())
}

func (b *backup) add(name string, size int64, r io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: b.at, Format: tar.FormatPAX}
	if err := b.tar.WriteHeader(h); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(b.tar, sum), r, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if name != sumsName {
		b.sums.WriteString(hex.EncodeToString(sum.Sum(nil)) + "  " + name + "\n")
	}
	return nil
}

// CheckBackup reads a backup to its end. An error other than of reading wraps ErrBackup.
func CheckBackup(r io.Reader) (Manifest, error) {
	return readBackup(r, func(string, io.Reader) error { return nil })
}

// Restore makes the store dir of a backup, as Import does of its content. The backup is checked, and so is the store: it can be opened, and
// everything in it can be read.
func Restore(dir string, r io.Reader, o NewFolder) (m Manifest, err error) {
	err = o.build(dir, func(folder string) error {
		m, err = readBackup(r, func(name string, r io.Reader) error { return writeFile(filepath.Join(folder, name), r) })
		if err != nil {
			return err
		}
		db, err := OpenReader(folder)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBackup, err)
		}
		if err := db.verify(); err != nil {
			return errors.Join(fmt.Errorf("%w: %w", ErrBackup, err), db.Close())
		}
		return db.Close()
	})
	return m, err
}

func writeFile(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// readBackup calls file for each of the store's files, and checks at the end that all were as they should be.
func readBackup(r io.Reader, file func(name string, r io.Reader) error) (m Manifest, err error) {
	b := &backupReader{tar: tar.NewReader(r), sums: make(map[string]string)}
	if err := b.manifest(&m); err != nil {
		return m, err
	}
	for {
		done, err := b.next(file)
		if err != nil || done {
			return m, err
		}
	}
}

type backupReader struct {
	tar  *tar.Reader
	sums map[string]string // what was found, by name
}

// unusable says what is wrong with a backup. What is wrong with reading it stays what it is.
func unusable(err error) error {
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("%w: %w", ErrBackup, err)
}

func (b *backupReader) manifest(m *Manifest) error {
	h, err := b.tar.Next()
	if err != nil {
		return unusable(err)
	}
	if h.Name != manifestName {
		return unusable(fmt.Errorf("expected %s first, not %q: this is no backup of a store", manifestName, h.Name))
	}
	sum := sha256.New()
	text, err := io.ReadAll(io.LimitReader(io.TeeReader(b.tar, sum), maxMeta))
	if err != nil {
		return unusable(err)
	}
	if err := json.Unmarshal(text, m); err != nil {
		return unusable(fmt.Errorf("%s: %w", manifestName, err))
	}
	if m.Format != backupFormat || m.Store != format {
		return unusable(fmt.Errorf("expected format %d of a store of format %d, not %d of %d: it is from another version",
			backupFormat, format, m.Format, m.Store))
	}
	b.note(h.Name, sum)
	return nil
}

func (b *backupReader) note(name string, sum hash.Hash) {
	b.sums[name] = hex.EncodeToString(sum.Sum(nil))
}

// next reads one file.
func (b *backupReader) next(file func(string, io.Reader) error) (done bool, err error) {
	h, err := b.tar.Next()
	if err != nil {
		return false, unusable(err)
	}
	if h.Name == sumsName {
		return true, b.check()
	}
	name, ok := strings.CutPrefix(h.Name, filesFolder)
	if _, twice := b.sums[h.Name]; twice || !ok || h.Typeflag != tar.TypeReg || !plainName(name) {
		return false, unusable(fmt.Errorf("%q: not a file that a backup has", h.Name))
	}
	sum := sha256.New()
	r := &tarFile{r: io.TeeReader(b.tar, sum)}
	if err := file(name, r); err != nil {
		if r.err != nil {
			err = unusable(r.err)
		}
		return false, err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return false, unusable(err)
	}
	b.note(h.Name, sum)
	return false, nil
}

// tarFile remembers what went wrong with reading.
type tarFile struct {
	r   io.Reader
	err error
}

func (f *tarFile) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// plainName reports whether a name is a file's own in its folder, whatever the system.
func plainName(name string) bool {
	if name == "" || name[0] == '.' || name == lockName {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}

// check compares the sums at the end with what was found.
func (b *backupReader) check() error {
	text, err := io.ReadAll(io.LimitReader(b.tar, maxMeta))
	if err != nil {
		return unusable(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for _, line := range lines[:len(lines)-1] {
		want, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if got, ok := b.sums[name]; !ok || got != want {
			return unusable(fmt.Errorf("%q is missing or damaged", name))
		}
		delete(b.sums, name)
	}
	if lines[len(lines)-1] != "" || len(b.sums) > 0 {
		return unusable(fmt.Errorf("%d files are not in %s", len(b.sums), sumsName))
	}
	return nil
}
