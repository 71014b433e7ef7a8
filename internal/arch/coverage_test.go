package arch

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/spec/COVERAGE.md anew")

const coverageFile = "docs/spec/COVERAGE.md"

// TestSpecCoverageIsUpToDate holds docs/spec/COVERAGE.md against the ledgers, the scripts and the code.
func TestSpecCoverageIsUpToDate(t *testing.T) {
	t.Parallel()
	v3, v5 := readSpec(t)
	want := coverage(v3, v5)
	if *update {
		if err := os.WriteFile(filepath.Join(loadTree(t).root, coverageFile), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if loadTree(t).read(t, coverageFile) != want {
		t.Errorf("%s is not up to date: go test ./internal/arch -run Spec -update", coverageFile)
	}
}

// coverage writes the report.
func coverage(v3, v5 *ledger) string {
	var out strings.Builder
	out.WriteString("# Does Unio follow the specification?\n\n" +
		"For each normative statement of MQTT 3.1.1 and 5.0: the [scripts](../mqttscript.md) and the\n" +
		"[catalogue of illegal packets](../../internal/illegal) that would fail if it were broken, and the code that enforces it; or\n" +
		"why there is none. `go test ./internal/arch -run Spec -update` writes this file from the ledgers\n" +
		"([3.1.1](v3.1.1.txt), [5.0](v5.0.txt)), the scripts and the comments of the code; without `-update` it fails if they disagree.\n\n" +
		"| Standard | Statements | exercised | not exercised, with a reason |\n|---|---|---|---|\n")
	for _, l := range []*ledger{v3, v5} {
		n := 0
		for _, id := range l.ids {
			if len(l.runs[id]) > 0 {
				n++
			}
		}
		fmt.Fprintf(&out, "| MQTT %s | %d | %d | %d |\n", l.title(), len(l.ids), n, len(l.ids)-n)
	}
	for _, l := range []*ledger{v3, v5} {
		fmt.Fprintf(&out, "\n## MQTT %s\n\n| Statement | | Scripts | Code |\n|---|---|---|---|\n", l.title())
		for _, id := range l.ids {
			fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", id, l.describe(id), links(l.runs[id]), links(l.code[id]))
		}
	}
	return out.String()
}

func (l *ledger) title() string {
	return strings.TrimSuffix(strings.TrimPrefix(path.Base(l.file), "v"), ".txt")
}

func (l *ledger) describe(id string) string {
	if r := l.reason[id]; r != "" {
		return l.words[id] + ". *" + strings.ToUpper(r[:1]) + r[1:] + ".*"
	}
	return l.words[id]
}

// links are the places, each a file and perhaps a function in it.
func links(places []string) string {
	places = slices.Sorted(slices.Values(places))
	for i, p := range places {
		file, function, _ := strings.Cut(p, " ")
		name := strings.TrimSuffix(path.Base(file), ".mqtt")
		switch {
		case path.Ext(file) == ".mqtt":
			name = path.Base(path.Dir(file)) + "/" + name
		case function != "":
			name = path.Dir(file) + "." + function
		}
		places[i] = "[" + name + "](../../" + file + ")"
	}
	return strings.Join(places, ", ")
}
