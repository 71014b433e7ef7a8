//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

// These tests are about what root does, and what the user that it becomes may not do any more. Who runs them and is not root stays
// the same user all the time, and what is asked of it differs where root differs.

func isRoot() bool { return os.Geteuid() == 0 }

// nobody returns the ids of the user nobody.
func nobody(t *testing.T) (uid, gid int) {
	t.Helper()
	u, err := osuser.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		t.Fatal(err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		t.Fatal(err)
	}
	return uid, gid
}

// openFolder returns a folder that all may enter, and that is gone at the end.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "unio") // the path of t.TempDir is not everybody's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Chmod(dir, 0o700) // to be emptied
		_ = os.RemoveAll(dir)
	})
	chmod(t, dir, 0o755)
	return dir
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// chown gives a file away, if root runs the tests.
func chown(t *testing.T, path string, uid, gid int) {
	t.Helper()
	if !isRoot() {
		return
	}
	if err := os.Lchown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}

// write makes a file that all may read.
func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	rewrite(t, path, lines...)
	chmod(t, path, 0o644)
}

// statOf returns what the system knows of a file.
func statOf(t *testing.T, path string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// asNobody runs a command as nobody, if root runs the tests, and returns what it says.
func asNobody(t *testing.T, args ...string) string {
	t.Helper()
	uid, gid := nobody(t)
	cmd := exec.Command(clitest.Binary, args...)
	if isRoot() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

// A file of the broker's user has root's group after "chown mosquitto FILE", and its user may not give a file to that group.
func TestAFileWithAGroupOfRootIsSaved(t *testing.T) {
	t.Parallel()
	chmod(t, filepath.Dir(clitest.Binary), 0o755) // for nobody
	uid, gid := nobody(t)
	dir, port := openFolder(t), testenv.FreePort(t)
	chown(t, dir, uid, gid)
	path, passwords := filepath.Join(dir, "dynamic-security.json"), filepath.Join(dir, "passwd")
	asNobody(t, "ctrl", "dynsec", "init", path, "admin", "secret")
	asNobody(t, "passwd", "-H", "sha512", "-c", "-b", passwords, "joe", "JOE")
	rootsGroup := func() {
		t.Helper()
		for _, f := range []string{path, passwords} {
			chown(t, f, uid, 0)
			chmod(t, f, 0o660)
		}
	}
	rootsGroup()
	p := clitest.Run(t, "-c", clitest.File(t, "user nobody", fmt.Sprintf("listener %d 127.0.0.1", port), "plugin mosquitto_dynamic_security", "plugin_opt_config_file "+path))
	p.Await("running$")
	clitest.ExpectRun(t, 0, "", clitest.PlainWarning, "ctrl", "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-u", "admin", "-P", "secret", "dynsec", "createRole", "online")
	p.Terminate()
	rootsGroup()
	asNobody(t, "ctrl", "-f", path, "dynsec", "createRole", "offline")
	asNobody(t, "passwd", "-H", "sha512", "-b", passwords, "ann", "ANN")
	for f, words := range map[string][]string{path: {`"online"`, `"offline"`}, passwords: {"joe:", "ann:"}} {
		for _, word := range words {
			if !strings.Contains(contentOf(t, f), word) {
				t.Errorf("%s has no %s", f, word)
			}
		}
		if s := statOf(t, f); isRoot() && int(s.Uid) != uid || s.Mode&0o777 != 0o660 {
			t.Errorf("%s is %d's, mode %o", f, s.Uid, s.Mode)
		}
	}
}

// The folder is not the user's: the file can be written and not replaced.
func TestAFileInAFolderOfRootIsSaved(t *testing.T) {
	t.Parallel()
	chmod(t, filepath.Dir(clitest.Binary), 0o755)
	uid, _ := nobody(t)
	dir := openFolder(t)
	passwords := filepath.Join(dir, "passwd")
	write(t, passwords)
	chown(t, passwords, uid, 0)
	chmod(t, dir, 0o555)
	asNobody(t, "passwd", "-H", "sha512", "-b", passwords, "joe", "JOE")
	if !strings.Contains(contentOf(t, passwords), "joe:$6$") {
		t.Errorf("the file has %q", contentOf(t, passwords))
	}
}
