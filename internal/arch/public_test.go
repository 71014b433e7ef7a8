package arch

import (
	"go/ast"
	"path"
	"strings"
	"testing"
)

// isPublic reports whether programs of others may import a package.
func isPublic(dir string) bool {
	for part := range strings.SplitSeq(dir, "/") {
		switch part {
		case "internal", "cmd", "bench", "examples", "tools":
			return false
		}
	}
	return true
}

// TestNoPublicNameLeaksAnInternalType finds what an embedder gets and cannot name: an exported function,
// field or variable whose type is in an internal package. A public alias is its name then.
func TestNoPublicNameLeaksAnInternalType(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	checked := 0
	for _, p := range tr.sorted() {
		if !isPublic(p.dir) {
			continue
		}
		for _, f := range p.files {
			if f.test {
				continue
			}
			checked++
			for _, n := range exposed(f.ast) {
				for _, where := range tr.leaks(f, n) {
					t.Error(where)
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no public package was found")
	}
}

// exposed returns the types in exported declarations.
func exposed(f *ast.File) (all []ast.Node) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || receiverIsExported(d.Recv)) {
				all = append(all, d.Type)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() && !s.Assign.IsValid() {
						all = append(all, s.Type)
					}
				case *ast.ValueSpec:
					if s.Type != nil && s.Names[0].IsExported() {
						all = append(all, s.Type)
					}
				}
			}
		}
	}
	return all
}

func receiverIsExported(recv *ast.FieldList) bool {
	exported := false
	ast.Inspect(recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = exported || id.IsExported()
		}
		return true
	})
	return exported
}

// leaks returns where a type, but for its fields that nobody sees, names an internal package.
func (tr *tree) leaks(f *file, n ast.Node) (found []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StructType:
			for _, field := range n.Fields.List {
				if len(field.Names) == 0 || field.Names[0].IsExported() {
					found = append(found, tr.leaks(f, field.Type)...)
				}
			}
			return false
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			for _, imported := range f.imports {
				if path.Base(imported) == x.Name && strings.Contains(imported, "/internal/") {
					found = append(found, tr.fset.Position(n.Pos()).String()+": "+x.Name+"."+n.Sel.Name+" is internal, and nobody else can name it")
				}
			}
		}
		return true
	})
	return found
}
