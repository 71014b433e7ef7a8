package acl

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/rules.md anew")

const manual = "../../docs/rules.md"

// TestManualHasTheTableOfAllConditions checks the part between the markers "<!-- conditions -->" and "<!-- end -->"; -update writes it.
func TestManualHasTheTableOfAllConditions(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), "<!-- conditions -->\n")
	got, after, ended := strings.Cut(rest, "<!-- end -->")
	if !found || !ended {
		t.Fatalf("%s has no table", manual)
	}
	want := table()
	if *update {
		if err := os.WriteFile(manual, []byte(before+"<!-- conditions -->\n"+want+"<!-- end -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", manual, got, want)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| Key | Values | In rules about | |\n|---|---|---|---|\n")
	for _, k := range keys {
		values := map[kind]string{
			kindText: "text", kindHex: "64 digits", kindVersion: "`3.1`, `3.1.1` or `5`", kindYesNo: "`yes` or `no`",
			kindNumber: fmt.Sprintf("number, %d to %d", k.low, k.high), kindAddress: "address",
		}[k.kind]
		actions := "all"
		if k.actions != 0 {
			actions = k.actions.String()
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.name, values, actions, k.doc)
	}
	return b.String()
}

// TestExamplesOfTheManualAreCorrect reads the example of docs/rules.md.
func TestExamplesOfTheManualAreCorrect(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```\n")
	n := 0
	for i := 1; i < len(blocks); i += 2 {
		if strings.HasPrefix(blocks[i], "rules_file") {
			continue
		}
		n++
		if w := mustParseRules(t, blocks[i]).Warnings(); len(w) > 0 {
			t.Errorf("an example has the warnings %v", w)
		}
	}
	if n == 0 {
		t.Error("no example was found")
	}
}
