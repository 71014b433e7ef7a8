package arch

import (
	"fmt"
	"path"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// ledger is the list of one version's normative statements.
type ledger struct {
	file  string
	words map[string]string // id without "MQTT-", to a few words of our own
	code  map[string]bool   // ids that code cites
	runs  map[string]bool   // ids that a script exercises
}

var (
	// statementID is a normative statement's number, as in MQTT-3.3.1-2.
	statementID = regexp.MustCompile(`^\d+\.\d+\.\d+-\d+$`)
	// citation finds ids, alone or as in "MQTT-3.3.1-2, -3". A number without a hyphen is a section, which nobody checks.
	citation = regexp.MustCompile(`MQTT-(\d+\.\d+\.\d+)-(\d+)((?:, -\d+)*)`)
)

func (tr *tree) ledgers(t *testing.T) (v3, v5 *ledger) {
	t.Helper()
	return tr.ledger(t, "docs/spec/v3.1.1.txt"), tr.ledger(t, "docs/spec/v5.0.txt")
}

func (tr *tree) ledger(t *testing.T, file string) *ledger {
	t.Helper()
	l := &ledger{file: file, words: map[string]string{}, code: map[string]bool{}, runs: map[string]bool{}}
	for i, line := range strings.Split(tr.read(t, file), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, words, _ := strings.Cut(line, " ")
		words = strings.TrimSpace(words)
		switch {
		case !statementID.MatchString(id):
			t.Errorf("%s:%d: %q is no statement's id", file, i+1, id)
		case words == "":
			t.Errorf("%s:%d: %s has no words", file, i+1, id)
		case l.words[id] != "":
			t.Errorf("%s:%d: %s stands twice", file, i+1, id)
		}
		l.words[id] = words
	}
	return l
}

func TestSpecCitationsInCodeAreListed(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	v3, v5 := tr.ledgers(t)
	for _, p := range tr.sorted() {
		for _, f := range p.files {
			if f.test { // tests of the script language make ids up
				continue
			}
			for _, m := range citation.FindAllStringSubmatch(string(f.src), -1) {
				for number := range strings.SplitSeq(m[2]+m[3], ", -") {
					cite(t, f, m[1]+"-"+number, v3, v5)
				}
			}
		}
	}
	for _, l := range []*ledger{v3, v5} {
		t.Logf("%s: %d statements, %d cited by code", l.file, len(l.words), len(l.code))
	}
}

// cite notes a citation. A number may mean one thing in 3.1.1 and another in 5.0; code need not say which it means.
func cite(t *testing.T, f *file, id string, ledgers ...*ledger) {
	t.Helper()
	known := false
	for _, l := range ledgers {
		if l.words[id] != "" {
			known, l.code[id] = true, true
		}
	}
	if !known {
		t.Errorf("%s cites [MQTT-%s], which docs/spec does not list", f.path, id)
	}
}

func TestSpecStatementsOfScriptsAreListed(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	v3, v5 := tr.ledgers(t)
	scripts := 0
	for _, file := range tr.texts {
		if path.Ext(file) != ".mqtt" {
			continue
		}
		scripts++
		for i, line := range strings.Split(tr.read(t, file), "\n") {
			fields := strings.Fields(line)
			if len(fields) > 1 && fields[0] == "spec" {
				if err := noteSpecLine(fields[1:], v3, v5); err != nil {
					t.Errorf("%s:%d: %v", file, i+1, err)
				}
			}
		}
	}
	for _, l := range []*ledger{v3, v5} {
		t.Logf("%s: %d statements, %d exercised by %d scripts", l.file, len(l.words), len(l.runs), scripts)
	}
	logMissing(t, v5)
}

// noteSpecLine reads what follows the word spec in a script, such as "5: 3.3.2-5 3.3.2-6".
func noteSpecLine(fields []string, v3, v5 *ledger) error {
	var l *ledger
	for _, field := range fields {
		if strings.HasPrefix(field, "#") {
			return nil
		}
		if version, ok := strings.CutSuffix(field, ":"); ok {
			switch version {
			case "3", "3.1", "3.1.1":
				l = v3
			case "5", "5.0":
				l = v5
			default:
				return fmt.Errorf("spec of version %q: want 3 or 5", version)
			}
			continue
		}
		if l == nil {
			return fmt.Errorf("spec %s: want a version first, as in \"spec 5: %s\"", field, field)
		}
		if l.words[field] == "" {
			return fmt.Errorf("%s does not list %s", l.file, field)
		}
		l.runs[field] = true
	}
	return nil
}

// logMissing prints what no script exercises, for go test -v.
func logMissing(t *testing.T, l *ledger) {
	t.Helper()
	var missing []string
	for id := range l.words {
		if !l.runs[id] {
			missing = append(missing, id)
		}
	}
	sort.Strings(missing)
	t.Logf("%s: no script exercises %s", l.file, strings.Join(missing, " "))
}
