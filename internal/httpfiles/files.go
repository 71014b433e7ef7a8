package httpfiles

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// minFileRate is how slowly a client may take a file, in bytes per second.
const minFileRate = 8 << 10

// contentTypes are those that a page needs to work; they do not depend on what the machine has in its tables of types.
var contentTypes = map[string]string{
	".css":         "text/css; charset=utf-8",
	".gif":         "image/gif",
	".htm":         "text/html; charset=utf-8",
	".html":        "text/html; charset=utf-8",
	".ico":         "image/x-icon",
	".jpeg":        "image/jpeg",
	".jpg":         "image/jpeg",
	".js":          "text/javascript; charset=utf-8",
	".json":        "application/json",
	".map":         "application/json",
	".mjs":         "text/javascript; charset=utf-8",
	".png":         "image/png",
	".svg":         "image/svg+xml",
	".txt":         "text/plain; charset=utf-8",
	".wasm":        "application/wasm",
	".webmanifest": "application/manifest+json",
	".webp":        "image/webp",
	".woff2":       "font/woff2",
}

// Index is the file that is served for a folder.
const Index = "index.html"

// Dir is a folder whose files are served.
type Dir struct {
	Path     string
	Patience time.Duration // for a client to take a file, besides what its size needs
}

// Check reports why the folder cannot be served. Its files are looked at with each request: it may be replaced.
func (d Dir) Check() error {
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return fmt.Errorf("folder to serve over HTTP: %w", err)
	}
	return root.Close()
}

// ServeHTTP serves a file, for a folder its index.html. What is not to be served, for whatever reason, is not found.
func (d Dir) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	name, ok := fileName(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		http.Error(w, "the folder of files is not there", http.StatusInternalServerError)
		return
	}
	defer root.Close()
	info, err := root.Stat(name) // before it is opened: opening a pipe would wait
	if err == nil && !spelledSo(root, name, info) {
		err = fs.ErrNotExist
	}
	if err == nil && info.IsDir() {
		if !strings.HasSuffix(r.URL.Path, "/") {
			redirect(w, r)
			return
		}
		name = filepath.Join(name, Index)
		info, err = root.Stat(name)
	} else if err == nil && strings.HasSuffix(r.URL.Path, "/") {
		err = fs.ErrNotExist
	}
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	f, err := root.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	d.send(w, r, f, info)
}

func (d Dir) send(w http.ResponseWriter, r *http.Request, f *os.File, info fs.FileInfo) {
	if t := contentTypes[strings.ToLower(path.Ext(info.Name()))]; t != "" {
		w.Header().Set("Content-Type", t)
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	patience := d.Patience + time.Duration(info.Size()/minFileRate)*time.Second
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	http.ServeContent(w, r, info.Name(), info.ModTime(), f)
}

// fileName returns the name of a file for the path of a request, whose escapes are resolved. No
// element may begin with a dot, so ".." and hidden files are out, or be empty, which Localize sees
// to; os.Root holds back symbolic links that leave the folder. None may end in a dot or a blank
// either: Windows takes those off, and finds the file without them.
func fileName(urlPath string) (name string, ok bool) {
	trimmed := strings.TrimSuffix(strings.TrimPrefix(urlPath, "/"), "/")
	if trimmed == "" {
		return ".", urlPath == "/"
	}
	for element := range strings.SplitSeq(trimmed, "/") {
		if strings.HasPrefix(element, ".") || strings.HasSuffix(element, ".") || strings.HasSuffix(element, " ") {
			return "", false
		}
	}
	name, err := filepath.Localize(trimmed)
	return name, err == nil
}

// redirect sends a client that asked for a folder to the path with a slash behind it, so that the page's relative
// links work. The target is relative, so it cannot name another host.
func redirect(w http.ResponseWriter, r *http.Request) {
	target := "./" + path.Base(r.URL.EscapedPath()) + "/"
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusMovedPermanently)
}

// spelledSo reports whether a file is called as it was asked for. Where the case of letters does
// not matter, a file is found by other names, too, which rules about paths do not know: there its
// folders are searched for the name.
func spelledSo(root *os.Root, name string, found fs.FileInfo) bool {
	other, err := root.Stat(swapCase(name))
	if err != nil || !os.SameFile(found, other) {
		return true
	}
	for ; name != "."; name = filepath.Dir(name) {
		if !lists(root, filepath.Dir(name), filepath.Base(name)) {
			return false
		}
	}
	return true
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// lists reports whether a folder has an entry of exactly that name.
func lists(root *os.Root, folder, name string) bool {
	f, err := root.Open(folder)
	if err != nil {
		return false
	}
	defer f.Close()
	const some = 128
	for {
		names, err := f.Readdirnames(some)
		if slices.Contains(names, name) {
			return true
		}
		if err != nil || len(names) == 0 {
			return false
		}
	}
}
