package httpfiles

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// folder returns a folder with files of these names, whose text is their name.
func folder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAFileHasOneName(t *testing.T) {
	t.Parallel()
	d := Dir{Path: folder(t, "admin/index.html", "dots.", "blank ", "README")}
	for path, status := range map[string]int{
		"/admin/": 200, "/admin/index.html": 200, "/README": 200, "/admin": 301, "/%61dmin/index%2ehtml": 200,
		"/admin/index.html.": 404, "/admin./": 404, "/admin/index.html%20": 404, "/dots.": 404, "/blank%20": 404,
		"/Admin/": 404, "/admin/INDEX.HTML": 404, "/readme": 404, "//admin/": 404, "/admin//": 404, "/./admin/": 404, "/admin/index.html/": 404,
	} {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest("GET", "http://x"+path, nil))
		if w.Code != status {
			t.Errorf("%s: status %d, want %d", path, w.Code, status)
		}
	}
}

// TestANameThatTheFolderDoesNotListIsNoName has two names for one file, by links. Where the case of
// letters does not matter there are more, and the lists of the folders have one of them.
func TestANameThatTheFolderDoesNotListIsNoName(t *testing.T) {
	t.Parallel()
	dir := folder(t, "a/page")
	if err := errors.Join(os.Link(filepath.Join(dir, "a/page"), filepath.Join(dir, "a/PAGE")), os.Symlink("a", filepath.Join(dir, "A"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	info, err := root.Stat("a/page")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/page", "a/PAGE", "A/page", "A/PAGE"} {
		if !spelledSo(root, name, info) {
			t.Errorf("%s is not found", name)
		}
	}
	if err := os.Remove(filepath.Join(dir, "a/page")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"page": false, "PAGE": true, "Page": false} {
		if lists(root, "a", name) != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
}
