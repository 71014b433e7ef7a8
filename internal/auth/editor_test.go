package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/config/mistake"
)

// edit opens a file with this text.
func edit(t *testing.T, text string) (e *Editor, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := OpenEditor(path)
	if err != nil {
		t.Fatal(err)
	}
	return e, path
}

func saved(t *testing.T, e *Editor, path string) string {
	t.Helper()
	if err := e.Save(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEditorKeepsWhatItIsNotAskedToChange(t *testing.T) {
	t.Parallel()
	h := cheap(t, "new").String()
	const before = "# users\r\n\r\njoe:OLD\r\nnonsense\n anne : ODD \njoe:AGAIN\nlast:NOEND"
	for _, c := range []struct {
		name, want string
		do         func(e *Editor) (bool, error)
		result     bool
	}{
		{
			"add", before + "\nbob:" + h + "\n",
			func(e *Editor) (bool, error) { return e.Set("bob", mustHash(t, h)) }, true,
		},
		{
			"replace", "# users\r\n\r\njoe:" + h + "\nnonsense\n anne : ODD \nlast:NOEND",
			func(e *Editor) (bool, error) { return e.Set("joe", mustHash(t, h)) }, false,
		},
		{
			"delete", "# users\r\n\r\nnonsense\n anne : ODD \nlast:NOEND",
			func(e *Editor) (bool, error) { return e.Delete("joe"), nil }, true,
		},
		{
			"delete a name with blanks around it", "# users\r\n\r\njoe:OLD\r\nnonsense\njoe:AGAIN\nlast:NOEND",
			func(e *Editor) (bool, error) { return e.Delete("anne"), nil }, true,
		},
		{"delete nobody", before, func(e *Editor) (bool, error) { return e.Delete("bob"), nil }, false},
	} {
		e, path := edit(t, before)
		result, err := c.do(e)
		if err != nil || result != c.result {
			t.Errorf("%s: %v, %v", c.name, result, err)
		}
		if got := saved(t, e, path); got != c.want {
			t.Errorf("%s: file is\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

func mustHash(t *testing.T, text string) *Hash {
	t.Helper()
	h, err := ParseHash(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestUpgradeHashesPlainTextAlone(t *testing.T) {
	t.Parallel()
	h := cheap(t, "x").String()
	e, path := edit(t, "# c:d\njoe:JOE\nhashed:"+h+"\nno colon\r\nanne : with:colon \n")
	n, err := e.Upgrade(func(password []byte) (*Hash, error) { return NewHash(SHA512, 0, password) })
	if err != nil || n != 2 {
		t.Fatalf("Upgrade = %d, %v", n, err)
	}
	text := saved(t, e, path)
	if strings.Contains(text, "JOE") || strings.Contains(text, "with") || !strings.Contains(text, "\nhashed:"+h+"\nno colon\r\n") {
		t.Errorf("file is\n%s", text)
	}
	p, err := LoadPasswords(path)
	if err != nil {
		t.Fatal(err)
	}
	for user, password := range map[string]string{"joe": "JOE", "hashed": "x", "anne": "with:colon"} {
		if !p.Verify(user, []byte(password)) {
			t.Errorf("%s is not accepted", user)
		}
	}
}

func TestUpgradeOfADamagedFileChangesNothing(t *testing.T) {
	t.Parallel()
	const before = "joe:JOE\nanne:$6$damaged\nbob:\n:x\n"
	e, path := edit(t, before)
	n, err := e.Upgrade(func(password []byte) (*Hash, error) { return NewHash(SHA512, 0, password) })
	var mistakes mistake.Errors
	if n != 0 || !errors.As(err, &mistakes) || len(mistakes) != 3 || mistakes[0].Line != 2 {
		t.Errorf("Upgrade = %d, %v", n, err)
	}
	if got := saved(t, e, path); got != before {
		t.Errorf("file is %q", got)
	}
}

func TestNamesThatAFileCannotHoldAreRefused(t *testing.T) {
	t.Parallel()
	e := NewEditor("passwd")
	for _, name := range []string{"", "a:b", "a\nb", "a\x00", "#a", " a", "a ", strings.Repeat("a", 65536)} {
		if added, err := e.Set(name, cheap(t, "x")); err == nil || added {
			t.Errorf("%.20q is accepted", name)
		}
	}
	if e.text().Len() != 0 {
		t.Error("a refused name is in the file")
	}
}

func TestNewFileIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	e := NewEditor(path)
	if _, err := e.Set("joe", cheap(t, "JOE")); err != nil {
		t.Fatal(err)
	}
	saved(t, e, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if p, err := LoadPasswords(path); err != nil || !p.Verify("joe", []byte("JOE")) {
		t.Errorf("what was saved is not accepted: %v", err)
	}
}

func TestSaveKeepsModeAndLink(t *testing.T) {
	t.Parallel()
	e, path := edit(t, "joe:x\n")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	e.path = link
	e.Delete("joe")
	if got := saved(t, e, path); got != "" {
		t.Errorf("the file behind the link has %q", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("files beside it: %v, %v", entries, err)
	}
}

func TestSaveRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing", "passwd")} {
		if err := NewEditor(path).Save(); err == nil {
			t.Errorf("Save to %s succeeds", path)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("files left: %v, %v", entries, err)
	}
}
