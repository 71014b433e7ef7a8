package arch

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// testSuffix marks the lines of a list that hold for a package's test files alone.
const testSuffix = "+test"

// allowance is one line of imports.txt.
type allowance struct {
	where string
	may   []string
	used  map[string]bool
}

func (tr *tree) allowances(t *testing.T) map[string]*allowance {
	t.Helper()
	out := map[string]*allowance{}
	for _, l := range tr.list(t, "imports.txt") {
		name, imports, found := strings.Cut(l.text, ":")
		name = strings.TrimSpace(name)
		switch {
		case !found:
			t.Errorf("%s: want \"PACKAGE : IMPORT ...\"", l.where)
			continue
		case out[name] != nil:
			t.Errorf("%s: second line for %s; the first is %s", l.where, name, out[name].where)
			continue
		}
		out[name] = &allowance{where: l.where, may: strings.Fields(imports), used: map[string]bool{}}
	}
	return out
}

func TestImportsWithinModuleAreAllowed(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	allowed := tr.allowances(t)
	for _, p := range tr.sorted() {
		code := allowed[p.dir]
		if code == nil {
			t.Errorf("package %s has no line in internal/arch/imports.txt", p.dir)
			continue
		}
		code.used[""] = true
		for _, f := range p.files {
			for _, imported := range f.imports {
				rel, ours := withinModule(imported)
				if !ours || rel == p.dir { // an external test imports its own package
					continue
				}
				if !permit(f, rel, code, allowed[p.dir+testSuffix]) {
					t.Errorf("%s imports %s, which internal/arch/imports.txt does not allow for %s", f.path, rel, p.dir)
				}
			}
		}
	}
	reportStale(t, allowed)
}

// permit notes the import and says whether a line allows it. Test files may import what the code may, and more where a
// line with testSuffix says so.
func permit(f *file, rel string, code, test *allowance) bool {
	if slices.Contains(code.may, rel) {
		if !f.test {
			code.used[rel] = true
		}
		return true
	}
	if f.test && test != nil && slices.Contains(test.may, rel) {
		test.used[""] = true
		test.used[rel] = true
		return true
	}
	return false
}

func reportStale(t *testing.T, allowed map[string]*allowance) {
	t.Helper()
	for name, a := range allowed {
		if !a.used[""] {
			t.Errorf("%s: stale line: nothing in the tree needs %s", a.where, name)
			continue
		}
		for _, rel := range a.may {
			if !a.used[rel] {
				t.Errorf("%s: stale: %s does not import %s", a.where, name, rel)
			}
		}
	}
}

// withinModule returns the folder of an import path of this module.
func withinModule(imported string) (rel string, ours bool) {
	if imported == modulePath {
		return ".", true
	}
	rel, ours = strings.CutPrefix(imported, modulePath+"/")
	return path.Clean(rel), ours
}
