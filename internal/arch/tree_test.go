package arch

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const modulePath = "github.com/uniomq/unio"

// tree is the module as parsed once for all tests of this package.
type tree struct {
	root     string // absolute
	fset     *token.FileSet
	packages map[string]*pkg // by folder relative to root, "." for the root itself
	texts    []string        // every file that is not Go, relative to root, slashes
}

type pkg struct {
	dir   string
	files []*file
}

type file struct {
	path    string // relative to the root, slashes
	test    bool   // *_test.go
	ast     *ast.File
	src     []byte
	lines   int
	imports []string
}

// skippedDirs hold what is not ours or is not source: see .gitignore.
var skippedDirs = map[string]bool{".git": true, "node_modules": true, "bin": true}

var loadOnce = sync.OnceValues(load)

// loadTree returns the parsed module.
func loadTree(t *testing.T) *tree {
	t.Helper()
	tr, err := loadOnce()
	if err != nil {
		t.Fatalf("read the module: %v", err)
	}
	return tr
}

func load() (*tree, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	tr := &tree{root: root, fset: token.NewFileSet(), packages: map[string]*pkg{}}
	nested := ""
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skippedDirs[d.Name()] {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && p != root {
				nested = p + string(filepath.Separator)
			}
			return nil
		}
		// The code of a module within this one, as bench/peers is, is no part of this module.
		if !d.Type().IsRegular() || nested != "" && strings.HasPrefix(p, nested) && strings.HasSuffix(p, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		return tr.add(filepath.ToSlash(rel))
	})
	return tr, err
}

// findRoot returns the folder of the module's go.mod, at or above the working directory.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(b, []byte("module "+modulePath+"\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod of " + modulePath + " above the working directory")
		}
		dir = parent
	}
}

func (tr *tree) add(rel string) error {
	if !strings.HasSuffix(rel, ".go") {
		tr.texts = append(tr.texts, rel)
		return nil
	}
	src, err := os.ReadFile(filepath.Join(tr.root, filepath.FromSlash(rel)))
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(tr.fset, rel, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	f := &file{
		path:  rel,
		test:  strings.HasSuffix(rel, "_test.go"),
		ast:   parsed,
		src:   src,
		lines: bytes.Count(src, []byte("\n")),
	}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		f.imports = append(f.imports, name)
	}
	dir := path.Dir(rel)
	if tr.packages[dir] == nil {
		tr.packages[dir] = &pkg{dir: dir}
	}
	tr.packages[dir].files = append(tr.packages[dir].files, f)
	return nil
}

// sorted returns the packages ordered by folder.
func (tr *tree) sorted() []*pkg {
	var ps []*pkg
	for _, p := range tr.packages {
		ps = append(ps, p)
	}
	sort.Slice(ps, func(i, j int) bool { return ps[i].dir < ps[j].dir })
	return ps
}

// read returns a file's text.
func (tr *tree) read(t *testing.T, rel string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(tr.root, filepath.FromSlash(rel)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// list returns the lines of a list in this folder without comments and blank lines, each with its line number.
func (tr *tree) list(t *testing.T, name string) []listLine {
	t.Helper()
	rel := path.Join("internal/arch", name)
	var out []listLine
	for i, text := range strings.Split(tr.read(t, rel), "\n") {
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		out = append(out, listLine{where: rel + ":" + strconv.Itoa(i+1), text: text})
	}
	return out
}

type listLine struct {
	where string // file:line
	text  string
}
