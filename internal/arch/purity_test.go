package arch

import (
	"go/ast"
	"slices"
	"testing"
)

// clockReaders are the functions of package time that look at the machine's clock.
var clockReaders = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// impure returns the places where a file starts a goroutine or reads the clock.
func impure(tr *tree, f *file) []string {
	var found []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		_, starts := n.(*ast.GoStmt)
		if starts || isCallOf(f, n, "time", clockReaders...) {
			found = append(found, tr.fset.Position(n.Pos()).String())
		}
		return true
	})
	return found
}

// isCallOf says whether n calls one of the named functions of the package imported as path. A renamed import hides a
// call; nobody renames time.
func isCallOf(f *file, n ast.Node, path string, names ...string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok || !slices.Contains(f.imports, path) {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == path && slices.Contains(names, sel.Sel.Name)
}

func TestProtocolCoreIsPure(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	for _, dir := range []string{"mqtt", "topic", "broker/internal/session"} {
		p := tr.packages[dir]
		if p == nil {
			t.Errorf("package %s is gone: correct this test", dir)
			continue
		}
		for _, f := range p.files {
			if f.test {
				continue
			}
			for _, imported := range f.imports {
				if slices.Contains([]string{"net", "os", "syscall", "crypto/tls", "net/http"}, imported) {
					t.Errorf("%s imports %s: package %s does no I/O", f.path, imported, dir)
				}
			}
			for _, where := range impure(tr, f) {
				t.Errorf("%s: package %s starts no goroutine and reads no clock", where, dir)
			}
		}
	}
}
