package arch

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ledger is the list of one version's normative statements.
type ledger struct {
	file    string
	version string // of spec lines: 3 or 5
	ids     []string
	words   map[string]string   // id without "MQTT-", to a few words of our own
	reason  map[string]string   // why no script can show it, or no line enforces it
	code    map[string][]string // the functions that cite it
	runs    map[string][]string // the scripts, and files of the catalogue of illegal packets, that exercise it
}

var (
	// statementID is a normative statement's number, as in MQTT-3.3.1-2.
	statementID = regexp.MustCompile(`^\d+\.\d+\.\d+-\d+$`)
	// citation finds ids, alone or as in "MQTT-3.3.1-2, -3". A number without a hyphen is a section, which nobody checks.
	citation = regexp.MustCompile(`MQTT-(\d+\.\d+\.\d+)-(\d+)((?:, -\d+)*)`)
)

func (tr *tree) ledgers(t *testing.T) (v3, v5 *ledger) {
	t.Helper()
	return tr.ledger(t, "docs/spec/v3.1.1.txt", "3"), tr.ledger(t, "docs/spec/v5.0.txt", "5")
}

func (tr *tree) ledger(t *testing.T, file, version string) *ledger {
	t.Helper()
	l := &ledger{
		file: file, version: version, words: map[string]string{}, reason: map[string]string{},
		code: map[string][]string{}, runs: map[string][]string{},
	}
	for i, line := range strings.Split(tr.read(t, file), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, words, _ := strings.Cut(line, " ")
		words, reason, _ := strings.Cut(words, "|")
		words = strings.TrimSpace(words)
		switch {
		case !statementID.MatchString(id):
			t.Errorf("%s:%d: %q is no statement's id", file, i+1, id)
		case words == "":
			t.Errorf("%s:%d: %s has no words", file, i+1, id)
		case l.words[id] != "":
			t.Errorf("%s:%d: %s stands twice", file, i+1, id)
		}
		l.ids = append(l.ids, id)
		l.words[id], l.reason[id] = words, strings.TrimSpace(reason)
	}
	return l
}

// clientOnly reports whether a statement binds clients alone.
func (l *ledger) clientOnly(id string) bool { return strings.HasPrefix(l.words[id], "client:") }

// readSpec returns the ledgers with all that cites them.
func readSpec(t *testing.T) (v3, v5 *ledger) {
	t.Helper()
	tr := loadTree(t)
	v3, v5 = tr.ledgers(t)
	for _, p := range tr.sorted() {
		for _, f := range p.files {
			switch {
			case p.dir == "internal/illegal":
				readCatalogue(t, f, v3, v5)
			case !f.test: // tests of the script language make ids up
				readCitations(t, tr, f, v3, v5)
			}
		}
	}
	for _, file := range tr.texts {
		if path.Ext(file) == ".mqtt" {
			readScript(t, tr, file, v3, v5)
		}
	}
	return v3, v5
}

// readCitations notes the citations of a file, with the functions in which they stand.
func readCitations(t *testing.T, tr *tree, f *file, ledgers ...*ledger) {
	t.Helper()
	for _, m := range citation.FindAllSubmatchIndex(f.src, -1) {
		at := func(i int) string { return string(f.src[m[2*i]:m[2*i+1]]) }
		where := f.path + functionAt(tr, f, m[0])
		for number := range strings.SplitSeq(at(2)+at(3), ", -") {
			cite(t, where, at(1)+"-"+number, ledgers...)
		}
	}
}

// functionAt names the function whose declaration or comment holds an offset of the file, behind a space.
func functionAt(tr *tree, f *file, offset int) string {
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from := fn.Pos()
		if fn.Doc != nil {
			from = fn.Doc.Pos()
		}
		if tr.fset.Position(from).Offset <= offset && offset < tr.fset.Position(fn.End()).Offset {
			return " " + fn.Name.Name
		}
	}
	return ""
}

// cite notes a citation. A number may mean one thing in 3.1.1 and another in 5.0; code need not say which it means.
func cite(t *testing.T, where, id string, ledgers ...*ledger) {
	t.Helper()
	known := false
	for _, l := range ledgers {
		if l.words[id] != "" {
			known = true
			note(l.code, id, where)
		}
	}
	if !known {
		t.Errorf("%s cites [MQTT-%s], which docs/spec does not list", where, id)
	}
}

// note appends what is not there yet.
func note(to map[string][]string, id, where string) {
	if !slices.Contains(to[id], where) {
		to[id] = append(to[id], where)
	}
}

// catalogued is a statement that a case of the catalogue names, as in "5: 3.3.1-4".
var catalogued = regexp.MustCompile(`"([35]): (\d+\.\d+\.\d+-\d+)"`)

func readCatalogue(t *testing.T, f *file, ledgers ...*ledger) {
	t.Helper()
	for _, m := range catalogued.FindAllStringSubmatch(string(f.src), -1) {
		if err := noteSpecLine(f.path, []string{m[1] + ":", m[2]}, ledgers...); err != nil {
			t.Errorf("%s: %v", f.path, err)
		}
	}
}

func readScript(t *testing.T, tr *tree, file string, ledgers ...*ledger) {
	t.Helper()
	for i, line := range strings.Split(tr.read(t, file), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "spec" {
			if err := noteSpecLine(file, fields[1:], ledgers...); err != nil {
				t.Errorf("%s:%d: %v", file, i+1, err)
			}
		}
	}
}

// noteSpecLine reads what follows the word spec in a script, such as "5: 3.3.2-5 3.3.2-6".
func noteSpecLine(file string, fields []string, ledgers ...*ledger) error {
	var l *ledger
	for _, field := range fields {
		if strings.HasPrefix(field, "#") {
			return nil
		}
		if version, ok := strings.CutSuffix(field, ":"); ok {
			i := slices.IndexFunc(ledgers, func(l *ledger) bool { return strings.HasPrefix(version, l.version) })
			if i < 0 {
				return fmt.Errorf("spec of version %q: want 3 or 5", version)
			}
			l = ledgers[i]
			continue
		}
		if l == nil {
			return fmt.Errorf("spec %s: want a version first, as in \"spec 5: %s\"", field, field)
		}
		if l.words[field] == "" {
			return fmt.Errorf("%s does not list %s", l.file, field)
		}
		note(l.runs, field, file)
	}
	return nil
}

// TestSpecLedgerIsWhole holds the number of statements against what appendix B of each standard has.
func TestSpecLedgerIsWhole(t *testing.T) {
	t.Parallel()
	v3, v5 := loadTree(t).ledgers(t)
	if n := len(v3.ids); n != 141 {
		t.Errorf("%s lists %d statements, want 141", v3.file, n)
	}
	if n := len(v5.ids); n != 251 {
		t.Errorf("%s lists %d statements, want 251", v5.file, n)
	}
}

func TestSpecStatementsAreExercisedOrExplained(t *testing.T) {
	t.Parallel()
	v3, v5 := readSpec(t)
	for _, l := range []*ledger{v3, v5} {
		for _, id := range l.ids {
			if len(l.runs[id]) == 0 && l.reason[id] == "" {
				t.Errorf("%s: no script exercises %s, %s, and nothing says why not", l.file, id, l.words[id])
			}
		}
	}
}

func TestSpecStatementsOfServersAreCitedInCode(t *testing.T) {
	t.Parallel()
	v3, v5 := readSpec(t)
	for _, l := range []*ledger{v3, v5} {
		for _, id := range l.ids {
			if len(l.code[id]) == 0 && l.reason[id] == "" && !l.clientOnly(id) {
				t.Errorf("%s: no code cites [MQTT-%s], %s", l.file, id, l.words[id])
			}
		}
	}
}
