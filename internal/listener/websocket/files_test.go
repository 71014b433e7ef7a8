package websocket

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// site makes a folder to serve, beside a file that is not to be served.
func site(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"secret.txt":           "secret",
		"www/index.html":       "<p>front page",
		"www/app.js":           "let x = 1",
		"www/style.css":        "p {}",
		"www/module.wasm":      "\x00asm",
		"www/data":             "plain words",
		"www/with space.txt":   "space",
		"www/.hidden":          "secret",
		"www/.git/config":      "secret",
		"www/sub/index.html":   "sub page",
		"www/empty/nothing.js": "",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "windows" { // where making one needs a right
		for link, target := range map[string]string{
			"www/inside.js": "app.js", "www/outside.txt": "../secret.txt", "www/absolute.txt": filepath.Join(dir, "secret.txt"),
			"www/up": "..", "www/loop": "loop",
		} {
			if err := os.Symlink(target, filepath.Join(dir, filepath.FromSlash(link))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return filepath.Join(dir, "www")
}

func get(t *testing.T, s *server, target string, edits ...string) *answer {
	t.Helper()
	edits = append([]string{"GET " + target + " HTTP/1.1", "-Upgrade", "Connection: close"}, edits...)
	a := exchange(t, s.dial(t), request(edits...))
	if a == nil {
		t.Fatalf("%s: no answer", target)
	}
	return a
}

func TestFilesAreServed(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HTTPDir: site(t), Origins: []string{"only for upgrades"}})
	for _, tc := range []struct{ target, contentType, body string }{
		{"/", "text/html; charset=utf-8", "<p>front page"},
		{"/?x=y", "text/html; charset=utf-8", "<p>front page"},
		{"/index.html", "text/html; charset=utf-8", "<p>front page"},
		{"/app.js", "text/javascript; charset=utf-8", "let x = 1"},
		{"/%61pp.js", "text/javascript; charset=utf-8", "let x = 1"},
		{"/style.css", "text/css; charset=utf-8", "p {}"},
		{"/module.wasm", "application/wasm", "\x00asm"},
		{"/data", "text/plain; charset=utf-8", "plain words"},
		{"/with%20space.txt", "text/plain; charset=utf-8", "space"},
		{"/sub/", "text/html; charset=utf-8", "sub page"},
		{"/empty/nothing.js", "text/javascript; charset=utf-8", ""},
		{"/inside.js", "text/javascript; charset=utf-8", "let x = 1"},
	} {
		if tc.target == "/inside.js" && runtime.GOOS == "windows" {
			continue
		}
		a := get(t, s, tc.target)
		h := a.header
		if a.status != 200 || a.body != tc.body || h.Get("Content-Type") != tc.contentType {
			t.Errorf("%s: %v", tc.target, a)
		}
		if h.Get("ETag") == "" || h.Get("Last-Modified") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", tc.target, a)
		}
	}
}

func TestFilesOutsideTheFolderAreNotServed(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HTTPDir: site(t)})
	for _, target := range []string{
		"/missing", "/app.js/", "/app.js/x", "/empty/", "/.hidden", "/.git/config", "/.git/", "/%2Ehidden", "/sub/../.hidden",
		"/../secret.txt", "/..", "/../", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "/..%2fsecret.txt", "/sub/../../secret.txt",
		"/sub/%2e%2e/%2e%2e/secret.txt", "/..%5csecret.txt", `/..\secret.txt`, "/....//secret.txt", "//secret.txt", "//", "/./app.js",
		"/sub//index.html", "/%00", "/app.js%00.html", "/outside.txt", "/absolute.txt", "/up/secret.txt", "/up/", "/up", "/loop",
		"/" + strings.Repeat("x", 5000),
	} {
		if a := get(t, s, target); a.status != 404 || strings.Contains(a.body, "secret") {
			t.Errorf("%s: %v", target, a)
		}
	}
	if a := get(t, s, "http://other/app.js"); a.status != 200 || a.body != "let x = 1" {
		t.Errorf("a proxy's form: %v", a)
	}
}

func TestFolderWithoutSlashIsRedirected(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HTTPDir: site(t)})
	for target, want := range map[string]string{"/sub": "./sub/", "/sub?a=b": "./sub/?a=b"} {
		if a := get(t, s, target); a.status != 301 || a.header.Get("Location") != want {
			t.Errorf("%s: %v, want %s", target, a, want)
		}
	}
}

func TestFileRequestsMayBeConditional(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HTTPDir: site(t)})
	first := get(t, s, "/app.js").header
	for _, header := range []string{
		"+If-None-Match: " + first.Get("ETag"), "+If-Modified-Since: " + first.Get("Last-Modified"),
	} {
		if a := get(t, s, "/app.js", header); a.status != 304 || a.body != "" {
			t.Errorf("%s: %v", header, a)
		}
	}
	if a := get(t, s, "/app.js", "+Range: bytes=4-6"); a.status != 206 || a.body != "x =" {
		t.Errorf("a range: %v", a)
	}
	a := exchange(t, s.dial(t), request("HEAD /app.js HTTP/1.1", "-Upgrade", "Connection: close"))
	if a == nil || a.status != 200 || a.header.Get("Content-Length") != "9" {
		t.Fatalf("HEAD: %v", a)
	}
	if rest, err := io.ReadAll(a.rest); len(rest) != 0 || err != nil {
		t.Errorf("HEAD: body %q, %v", rest, err)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	dir := site(t)
	s := listen(t, Options{HTTPDir: dir})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"} {
		a := exchange(t, s.dial(t), request(method+" /app.js HTTP/1.1", "-Upgrade", "+Content-Length: 3")+"new")
		if a == nil || a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %v", method, a)
		}
		s.refusal(t)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "app.js")); string(content) != "let x = 1" {
		t.Errorf("the file is now %q, %v", content, err)
	}
}

func TestUpgradeFollowsFilesOnTheSameConnection(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HTTPDir: site(t)})
	nc := s.dial(t)
	if a := exchange(t, nc, request("GET /app.js HTTP/1.1", "-Upgrade", "Connection: keep-alive")); a == nil || a.body != "let x = 1" {
		t.Fatalf("answer %v", a)
	}
	if a := exchange(t, nc, request()); a == nil || a.status != 101 {
		t.Errorf("answer %v", a)
	}
	s.accept(t)
}

func TestFolderMayBeReplaced(t *testing.T) {
	t.Parallel()
	dir := site(t)
	s := listen(t, Options{HTTPDir: dir})
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if a := get(t, s, "/app.js"); a.status != 500 {
		t.Errorf("without the folder: %v", a)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "app.js"), []byte("new"), 0o666); err != nil {
		t.Fatal(err)
	}
	if a := get(t, s, "/app.js"); a.body != "new" {
		t.Errorf("got %v", a)
	}
}
