package arch

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines = 800
	maxFuncLines = 100
)

// vagueNames say nothing about what a package is.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "base", "types", "manager", "misc", "shared"}

// finding is a breach of a rule; rule and subject together are its key in exceptions.txt.
type finding struct{ rule, subject, detail string }

func TestTreeIsTidy(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	excepted := map[string]string{} // "rule subject" to where it stands
	for _, l := range tr.list(t, "exceptions.txt") {
		fields := strings.Fields(l.text)
		if len(fields) < 6 {
			t.Errorf("%s: want \"RULE SUBJECT SENTENCE\", the sentence saying why", l.where)
			continue
		}
		excepted[fields[0]+" "+fields[1]] = l.where
	}
	for _, f := range tr.findings() {
		key := f.rule + " " + f.subject
		if _, ok := excepted[key]; ok {
			excepted[key] = ""
			continue
		}
		t.Errorf("%s: %s (rule %s)", f.subject, f.detail, f.rule)
	}
	for key, where := range excepted {
		if where != "" {
			t.Errorf("%s: stale exception: %s", where, key)
		}
	}
}

func (tr *tree) findings() []finding {
	var all []finding
	for _, p := range tr.sorted() {
		all = append(all, packageFindings(p)...)
		for _, f := range p.files {
			if f.lines > maxFileLines {
				all = append(all, finding{"file-lines", f.path, fmt.Sprintf("%d lines, over %d", f.lines, maxFileLines)})
			}
			all = append(all, tr.functionFindings(f)...)
			if f.test {
				all = append(all, tr.sleepFindings(f)...)
			}
		}
	}
	return all
}

func packageFindings(p *pkg) []finding {
	var all []finding
	documented, code := false, false
	for _, f := range p.files {
		documented = documented || !f.test && f.ast.Doc != nil && len(strings.TrimSpace(f.ast.Doc.Text())) > 0
		code = code || !f.test
		if name := f.ast.Name.Name; slices.Contains(vagueNames, name) {
			all = append(all, finding{"name", f.path, "package " + name + " says nothing about what it holds"})
		}
	}
	if code && !documented {
		all = append(all, finding{"doc", p.dir, "no package doc"})
	}
	return all
}

func (tr *tree) functionFindings(f *file) []finding {
	var all []finding
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		lines := tr.fset.Position(fn.End()).Line - tr.fset.Position(fn.Pos()).Line + 1
		if lines > maxFuncLines {
			subject := f.path + ":" + fn.Name.Name
			all = append(all, finding{"func-lines", subject, fmt.Sprintf("%d lines, over %d", lines, maxFuncLines)})
		}
	}
	return all
}

// sleepFindings returns the calls of time.Sleep in a test. Inside a testing/synctest bubble sleeping is how virtual
// time goes on, so files that import it may.
func (tr *tree) sleepFindings(f *file) []finding {
	if slices.Contains(f.imports, "testing/synctest") {
		return nil
	}
	var all []finding
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if isCallOf(f, n, "time", "Sleep") {
			detail := fmt.Sprintf("line %d: a test waits for an event, never for time", tr.fset.Position(n.Pos()).Line)
			all = append(all, finding{"sleep", f.path, detail})
		}
		return true
	})
	return all
}

// machinePath finds paths of the machine that a file was written on.
var machinePath = regexp.MustCompile(`(^|[\s"'(=:` + "`" + `])/(work|root|Users|home/[a-z][a-z0-9]*)/`)

func TestNoFileNamesAMachinesPath(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	check := func(path, text string) {
		for i, line := range strings.Split(text, "\n") {
			if m := machinePath.FindString(line); m != "" {
				t.Errorf("%s:%d: %q is a path of one machine", path, i+1, strings.TrimSpace(m))
			}
		}
	}
	for _, path := range tr.texts {
		check(path, tr.read(t, path))
	}
	for _, p := range tr.sorted() {
		for _, f := range p.files {
			check(f.path, string(f.src))
		}
	}
}
