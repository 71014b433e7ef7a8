package websocket

import (
	"io"
	"net/http"
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

func get(t *testing.T, s *server, target string, edits ...string) (*http.Response, string) {
	t.Helper()
	line := "GET " + target + " HTTP/1.1"
	edits = append([]string{line, "-Upgrade", "Connection: close"}, edits...)
	response, _ := exchange(t, s.dial(t), request(edits...))
	if response == nil {
		t.Fatalf("%s: no answer", target)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
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
		response, body := get(t, s, tc.target)
		h := response.Header
		if response.StatusCode != 200 || body != tc.body || h.Get("Content-Type") != tc.contentType {
			t.Errorf("%s: %d %s %q", tc.target, response.StatusCode, h.Get("Content-Type"), body)
		}
		if h.Get("ETag") == "" || h.Get("Last-Modified") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", tc.target, h)
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
		response, body := get(t, s, target)
		if response.StatusCode != 404 || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %.50q", target, response.StatusCode, body)
		}
	}
	if response, body := get(t, s, "http://other/app.js"); response.StatusCode != 200 || body != "let x = 1" {
		t.Errorf("a proxy's form: %d %q", response.StatusCode, body)
	}
}

func TestFolderWithoutSlashIsRedirected(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HTTPDir: site(t)})
	for target, want := range map[string]string{"/sub": "./sub/", "/sub?a=b": "./sub/?a=b"} {
		if response, _ := get(t, s, target); response.StatusCode != 301 || response.Header.Get("Location") != want {
			t.Errorf("%s: %d %s, want %s", target, response.StatusCode, response.Header.Get("Location"), want)
		}
	}
}

func TestFileRequestsMayBeConditional(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HTTPDir: site(t)})
	first, _ := get(t, s, "/app.js")
	for _, header := range []string{
		"+If-None-Match: " + first.Header.Get("ETag"), "+If-Modified-Since: " + first.Header.Get("Last-Modified"),
	} {
		if response, body := get(t, s, "/app.js", header); response.StatusCode != 304 || body != "" {
			t.Errorf("%s: %d %q", header, response.StatusCode, body)
		}
	}
	if response, body := get(t, s, "/app.js", "+Range: bytes=4-6"); response.StatusCode != 206 || body != "x =" {
		t.Errorf("a range: %d %q", response.StatusCode, body)
	}
	response, r := exchange(t, s.dial(t), request("HEAD /app.js HTTP/1.1", "-Upgrade", "Connection: close"))
	if response.StatusCode != 200 || response.Header.Get("Content-Length") != "9" {
		t.Errorf("HEAD: %d, headers %v", response.StatusCode, response.Header)
	}
	if rest, err := io.ReadAll(r); len(rest) != 0 || err != nil {
		t.Errorf("HEAD: body %q, %v", rest, err)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	dir := site(t)
	s := listen(t, Options{HTTPDir: dir})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"} {
		response, _ := exchange(t, s.dial(t), request(method+" /app.js HTTP/1.1", "-Upgrade", "+Content-Length: 3")+"new")
		if response == nil || response.StatusCode != 405 || response.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %v", method, response)
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
	response, _ := exchange(t, nc, request("GET /app.js HTTP/1.1", "-Upgrade", "Connection: keep-alive"))
	if body, err := io.ReadAll(response.Body); string(body) != "let x = 1" || err != nil {
		t.Fatalf("got %q, %v", body, err)
	}
	if response, _ := exchange(t, nc, request()); response == nil || response.StatusCode != 101 {
		t.Errorf("answer %v", response)
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
	if response, _ := get(t, s, "/app.js"); response.StatusCode != 500 {
		t.Errorf("without the folder: %d", response.StatusCode)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "app.js"), []byte("new"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, s, "/app.js"); body != "new" {
		t.Errorf("got %q", body)
	}
}
