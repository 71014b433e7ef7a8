package arch

import (
	"strings"
	"testing"
)

// dependency is one line of deps.txt: a package uses an external module, for a reason.
type dependency struct {
	where string
	used  bool
}

// required returns the modules that go.mod requires directly or not, without versions.
func required(goMod string) []string {
	var modules []string
	block := false
	for line := range strings.SplitSeq(goMod, "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "require" && len(fields) == 2 && fields[1] == "(":
			block = true
		case fields[0] == ")":
			block = false
		case block:
			modules = append(modules, fields[0])
		case fields[0] == "require" && len(fields) >= 3:
			modules = append(modules, fields[1])
		}
	}
	return modules
}

// moduleOf returns the module that an import path belongs to: the longest that is a prefix.
func moduleOf(modules []string, imported string) string {
	best := ""
	for _, m := range modules {
		if (imported == m || strings.HasPrefix(imported, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func TestExternalModulesAreListedWithAReason(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	listed := map[string]*dependency{} // by "package module"
	for _, l := range tr.list(t, "deps.txt") {
		fields := strings.Fields(l.text)
		if len(fields) < 5 {
			t.Errorf("%s: want \"PACKAGE MODULE REASON\", the reason in some words", l.where)
			continue
		}
		listed[fields[0]+" "+fields[1]] = &dependency{where: l.where}
	}
	modules := required(tr.read(t, "go.mod"))
	for _, p := range tr.sorted() {
		for _, f := range p.files {
			for _, imported := range f.imports {
				if _, ours := withinModule(imported); ours || isStandard(imported) {
					continue
				}
				checkDependency(t, listed, p.dir, f, moduleOf(modules, imported))
			}
		}
	}
	for key, d := range listed {
		if !d.used {
			t.Errorf("%s: stale line: %s", d.where, key)
		}
	}
}

func checkDependency(t *testing.T, listed map[string]*dependency, dir string, f *file, module string) {
	t.Helper()
	if d := listed[dir+" "+module]; d != nil {
		d.used = d.used || !f.test // used by tests alone, the line wants its suffix
		return
	}
	if d := listed[dir+testSuffix+" "+module]; d != nil && f.test {
		d.used = true
		return
	}
	t.Errorf("%s imports module %q, which internal/arch/deps.txt does not list for %s", f.path, module, dir)
}
