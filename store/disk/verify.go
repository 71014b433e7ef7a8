package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrDamaged says that the store's files are not as they were written. What was acknowledged might be missing, so that it is not opened.
var ErrDamaged = errors.New("the store is damaged")

// Pebble ends a log at the first record that is not whole, as it must: a power cut leaves such an end. Damage in the middle would
// look the same, and silently cost all that is behind it. Pebble tells the two apart by what later blocks of 32 KiB say was synced; here the
// last block is looked at as well, and the list of tables, for which Pebble does not ask. What cannot be told is damage to the very last
// record of a file, and to the one before if the last one was written at the moment when that was synced.

// The layout of Pebble's records, as the package record describes it: checksum, length, kind, and in logs its number and how far it was
// synced when the record was written.
const (
	blockSize    = 32 << 10
	plainHeader  = 4 + 2 + 1
	syncedHeader = plainHeader + 4 + 8

	plainFull, plainLast   = 1, 4 // kinds in a list of tables
	syncedFull, syncedLast = 9, 12
)

// verify reads the logs and the list of tables of a folder.
func verify(fs vfs.FS, dir string) error {
	desc, err := pebble.Peek(dir, fs)
	if err != nil || !desc.Exists {
		return err
	}
	files := []string{desc.ManifestFilename}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if isLog(name) {
			files = append(files, fs.PathJoin(dir, name))
		}
	}
	for _, path := range files {
		if err := verifyFile(fs, path); err != nil {
			return err
		}
	}
	return nil
}

// logNumber returns the number of a log, which its records repeat; 0 for a list of tables.
func logNumber(base string) uint32 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(base, ".log"), 10, 64)
	return uint32(n)
}

func verifyFile(fs vfs.FS, path string) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	number := logNumber(fs.PathBase(path))
	r := newReader(record.NewReader, f, number)
	good := int64(0)
	for err == nil {
		var rec io.Reader
		if rec, err = r.Next(); err == nil {
			_, err = io.Copy(io.Discard, rec)
		}
		if err == nil {
			good = r.Offset()
		}
	}
	if !errors.Is(err, io.EOF) && !record.IsInvalidRecord(err) {
		return fmt.Errorf("%s: %w", path, err)
	}
	// What follows begins in the block of the last good record.
	start := good / blockSize * blockSize
	info, err := f.Stat()
	if err != nil {
		return err
	}
	t := tail{p: make([]byte, max(info.Size()-start, 0)), start: start, number: number}
	if _, err := f.ReadAt(t.p, start); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	end := t.end(int(good - start))
	if at, found := t.later(end); found {
		return fmt.Errorf("%w: %s ends at byte %d, but what stands at byte %d says that more was written",
			ErrDamaged, path, start+int64(end), start+int64(at))
	}
	return nil
}

// newReader is record.NewReader, the type of whose number has no name outside of Pebble.
func newReader[N ~uint64](make func(io.Reader, N) *record.Reader, f io.Reader, number uint32) *record.Reader {
	return make(f, N(number))
}

// tail is the last part of a file, from the beginning of a block.
type tail struct {
	p      []byte
	start  int64  // in the file
	number uint32 // of the log; 0: a list of tables
}

// piece reports whether a whole piece of a record of this file begins at an index, where it ends, and how far the file was
// synced when it was written, as far as it says so.
func (t *tail) piece(at int) (end int, synced uint64, ok bool) {
	if at+plainHeader > len(t.p) {
		return 0, 0, false
	}
	header, kind := plainHeader, t.p[at+6]
	switch {
	case t.number == 0 && kind >= plainFull && kind <= plainLast:
	case t.number != 0 && kind >= syncedFull && kind <= syncedLast:
		header = syncedHeader
	default:
		return 0, 0, false
	}
	end = at + header + int(binary.LittleEndian.Uint16(t.p[at+4:]))
	if end > len(t.p) || at/blockSize != (end-1)/blockSize {
		return 0, 0, false
	}
	if t.number != 0 {
		if binary.LittleEndian.Uint32(t.p[at+7:]) != t.number {
			return 0, 0, false
		}
		synced = binary.LittleEndian.Uint64(t.p[at+11:])
	}
	return end, synced, checksum(t.p[at+6:end]) == binary.LittleEndian.Uint32(t.p[at:])
}

// end returns where the first piece begins that is not whole.
func (t *tail) end(at int) int {
	for {
		end, _, ok := t.piece(at)
		if !ok {
			return at
		}
		at = end
		if left := blockSize - at%blockSize; left < plainHeader {
			at += left // too little for another one
		}
	}
}

// later looks behind the end for a piece that promises that something stood there: in a log one that knows of a sync behind the end, in
// a list of tables, which is synced after each record, any.
func (t *tail) later(end int) (at int, found bool) {
	for at = end + 1; at+plainHeader <= len(t.p); at++ {
		if _, synced, ok := t.piece(at); ok && (t.number == 0 || synced > uint64(t.start)+uint64(end)) {
			return at, true
		}
	}
	return 0, false
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of a record: CRC-32C, rotated and shifted so that data does not look like its own checksum.
func checksum(p []byte) uint32 {
	c := crc32.Checksum(p, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}
