package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// stranger is a user that none of these tests runs as.
const stranger = 65533

func isRoot() bool { return os.Geteuid() == 0 }

// write makes a file.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func has(t *testing.T, path, want string) {
	t.Helper()
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%s has %q, %v; want %q", filepath.Base(path), text, err, want)
	}
}

// link makes a link.
func link(t *testing.T, to string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRootFollowsNoLinkToAFile(t *testing.T) {
	t.Parallel()
	target := write(t, filepath.Join(t.TempDir(), "target"), "precious")
	missing := filepath.Join(t.TempDir(), "missing")
	for _, path := range []string{link(t, target), link(t, missing), link(t, link(t, target))} {
		_, _, appending := open(path, os.O_APPEND, 0o600, true)
		_, creating := create(path, 0o600, true)
		for _, err := range []error{appending, creating} {
			if err == nil || !strings.Contains(err.Error(), "is a link to ") {
				t.Errorf("got %v", err)
			}
		}
	}
	has(t, target, "precious")
	if _, err := os.Lstat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a link leads to was made: %v", err)
	}
	f, _, err := open(link(t, target), os.O_APPEND, 0o600, false) // by somebody who may do no more than the link's owner
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

func TestRootFollowsItsOwnLinkToADevice(t *testing.T) {
	t.Parallel()
	path := link(t, os.DevNull)
	f, _, err := open(path, os.O_APPEND, 0o600, true)
	if isRoot() {
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		if err := os.Lchown(path, stranger, stranger); err != nil {
			t.Fatal(err)
		}
		_, _, err = open(path, os.O_APPEND, 0o600, true)
	}
	if err == nil || !strings.Contains(err.Error(), "is a link to "+os.DevNull) {
		t.Errorf("a link of somebody else: %v", err)
	}
}

func TestALinkToStandardErrorIsThat(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/stderr"); err != nil {
		t.Logf("this system has no /dev/stderr: %v", err)
		return
	}
	f, _, err := Append(link(t, "/dev/stderr"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.Stderr.Stat()
	if err != nil || !os.SameFile(got, want) || f.Fd() == os.Stderr.Fd() {
		t.Errorf("descriptor %d is %v, want another one of %v, %v", f.Fd(), got, want, err)
	}
}

func TestCreateEmptiesNoFileWithTwoNames(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	for range 2 {
		f, err := create(path, 0o644, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("1\n"); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		has(t, path, "1\n")
	}
	if err := os.Link(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := create(path, 0o644, true); err == nil || !strings.Contains(err.Error(), "has another name") {
		t.Errorf("got %v", err)
	}
	has(t, path, "1\n")
}

func TestOpenTellsRootWhatItMade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	for _, want := range []bool{true, false} {
		f, made, err := open(path, os.O_APPEND, 0o600, true)
		if err != nil || made != want {
			t.Fatalf("made %v, %v", made, err)
		}
		_ = f.Close()
	}
}

func TestReplaceGoesOnWithoutWhatItMayNotDo(t *testing.T) {
	t.Parallel()
	rename := func(cause error) func(from, to string) error {
		return func(from, to string) error { return &os.LinkError{Op: "rename", Old: from, New: to, Err: cause} }
	}
	all := system{os.Rename, (*os.File).Chown, false}
	noOwner, mounted, fixed, full := all, all, all, all
	noOwner.chown = func(*os.File, int, int) error { return syscall.EPERM }
	mounted.rename, fixed.rename, full.rename = rename(syscall.EBUSY), rename(syscall.EACCES), rename(syscall.ENOSPC)
	for _, c := range []struct {
		name string
		s    system
		want string
	}{
		{"everything", all, "new\n"},
		{"give the file its owner", noOwner, "new\n"},
		{"replace a mounted file", mounted, "new\n"},
		{"write in the folder", fixed, "new\n"},
		{"write at all", full, "a long line, longer than the new one\n"},
	} {
		path := write(t, filepath.Join(t.TempDir(), "file"), "a long line, longer than the new one\n")
		if err := os.Chmod(path, 0o660); err != nil {
			t.Fatal(err)
		}
		if err := c.s.replace(path, []byte("new\n")); (err == nil) != (c.want == "new\n") {
			t.Errorf("%s: %v", c.name, err)
		}
		has(t, path, c.want)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("%s: mode %v, %v", c.name, info.Mode(), err)
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
			t.Errorf("%s: files beside it: %v, %v", c.name, entries, err)
		}
	}
}

func TestReplaceMakesWhatALinkLeadsTo(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "target")
	path := link(t, target)
	for _, text := range []string{"one", "two"} {
		if err := (system{os.Rename, (*os.File).Chown, false}).replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		has(t, target, text)
	}
	if isRoot() {
		if err := os.Lchown(path, stranger, stranger); err != nil {
			t.Fatal(err)
		}
	}
	err := system{os.Rename, (*os.File).Chown, true}.replace(path, []byte("three"))
	if err == nil || !strings.Contains(err.Error(), "not root's") {
		t.Errorf("root follows the link of somebody else: %v", err)
	}
	has(t, target, "two")
}

// ownerOf returns whose a file is, a link itself.
func ownerOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	uid, _, _ := owner(info)
	return uid
}

// receiver is who files are given to: somebody else, or who runs the tests, which may give files to nobody else.
func receiver() Owner {
	if isRoot() {
		return Owner{UID: stranger, GID: stranger}
	}
	return Owner{UID: os.Getuid(), GID: os.Getgid()}
}

func TestGiveFollowsNoLink(t *testing.T) {
	t.Parallel()
	to := receiver()
	target := write(t, filepath.Join(t.TempDir(), "target"), "")
	if err := Give(link(t, target), to); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("got %v", err)
	}
	if err := GiveTree(link(t, filepath.Dir(target)), to); err == nil || !strings.Contains(err.Error(), "is a link") {
		t.Errorf("got %v", err)
	}
	if got := ownerOf(t, target); got != os.Geteuid() {
		t.Errorf("what a link leads to is now %d's", got)
	}
	if err := Give(target, to); err != nil || ownerOf(t, target) != to.UID {
		t.Errorf("not given: %v", err)
	}
	if err := os.Link(target, target+"2"); err != nil {
		t.Fatal(err)
	}
	if err := Give(target, to); err == nil || !strings.Contains(err.Error(), "another name") {
		t.Errorf("got %v", err)
	}
}

func TestAFolderIsMadeAndGiven(t *testing.T) {
	t.Parallel()
	to := receiver()
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b")
	if err := GiveFolder(dir+"/", to); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 || ownerOf(t, path) != to.UID {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if ownerOf(t, top) != os.Geteuid() {
		t.Error("a folder that was there was given away as well")
	}
}

func TestAFolderIsGivenWithWhatIsInIt(t *testing.T) {
	t.Parallel()
	to := receiver()
	outside := write(t, filepath.Join(t.TempDir(), "outside"), "")
	dir := t.TempDir()
	within := write(t, filepath.Join(dir, "within"), "")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(outside, filepath.Join(dir, "name")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil { // the receiver may not write there, whoever that is
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) // to be removed
	if err := GiveFolder(dir, to); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, within, filepath.Join(dir, "link")} {
		if ownerOf(t, path) != to.UID {
			t.Errorf("%s is %d's", path, ownerOf(t, path))
		}
	}
	if got := ownerOf(t, outside); got != os.Geteuid() {
		t.Errorf("what is outside is %d's", got)
	}
	if err := GiveFolder(link(t, filepath.Dir(outside)), to); err != nil || ownerOf(t, filepath.Dir(outside)) != os.Geteuid() {
		t.Errorf("what a link leads to was given away: %v", err)
	}
}

func TestWhoMayWriteInAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	uid, gid, _ := owner(info)
	for _, c := range []struct {
		mode fs.FileMode
		o    Owner
		want bool
	}{
		{0o500, Owner{}, true}, // root
		{0o755, Owner{UID: stranger, GID: stranger}, false},
		{0o757, Owner{UID: stranger, GID: stranger}, true},
		{0o756, Owner{UID: stranger, GID: stranger}, false},
		{0o775, Owner{UID: stranger, GID: gid}, gid != stranger},
		{0o775, Owner{UID: stranger, GID: stranger, Groups: []int{gid}}, true},
		{0o707, Owner{UID: stranger, GID: gid}, false},
		{0o577, Owner{UID: uid, GID: gid}, uid == 0},
	} {
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.o.mayWrite(info); got != c.want {
			t.Errorf("%o, %+v: %v", c.mode, c.o, got)
		}
	}
}
