package config_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
)

const manual = "../docs/unio.conf.md"

// TestManualHasTheTablesOfAllOptions checks the parts of the manual between the
// markers "<!-- NAME: ..." and "<!-- end -->"; -update writes them.
func TestManualHasTheTablesOfAllOptions(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, part := range []struct{ name, table string }{
		{"broker", available(config.Global)},
		{"security", available(config.Security)},
		{"listener", available(config.PerListener)},
		{"refused", others(config.Refused)},
		{"no effect", others(config.NoEffect)},
	} {
		before, rest, found := strings.Cut(page, "<!-- "+part.name+": made by go test ./config -update -->\n")
		got, after, ended := strings.Cut(rest, "<!-- end -->")
		if !found || !ended {
			t.Fatalf("%s has no part %q", manual, part.name)
		}
		if got != part.table && !*update {
			t.Errorf("%s, %s\ngot:\n%s\nwant:\n%s", manual, part.name, got, part.table)
		}
		page = before + "<!-- " + part.name + ": made by go test ./config -update -->\n" + part.table + "<!-- end -->" + after
	}
	if *update {
		if err := os.WriteFile(manual, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// available returns the table of the options of a scope that work.
func available(scope config.Scope) string {
	var b strings.Builder
	b.WriteString("| Option | Values | Default | Reload | Since | |\n|---|---|---|---|---|---|\n")
	for _, o := range config.Options() {
		if o.State != config.Available || o.Scope != scope {
			continue
		}
		def, reload := "none", "yes"
		if o.Default != "" {
			def = "`" + o.Default + "`"
		}
		if o.Fixed {
			reload = "no"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", names(o), o.Values(), def, reload, o.Since, o.Doc)
	}
	return b.String()
}

// others returns the table of the options in a state other than Available. Those of
// bridges are one line.
func others(state config.State) string {
	var b strings.Builder
	b.WriteString("| Option | Scope | Comes with | |\n|---|---|---|---|\n")
	var bridge []string
	var later string
	for _, o := range config.Options() {
		switch {
		case o.State != state:
		case o.Scope == config.PerBridge && o.Name != "connection":
			bridge, later = append(bridge, names(o)), o.Later
		default:
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", names(o), o.Scope, o.Later, o.Doc)
		}
	}
	if bridge != nil {
		fmt.Fprintf(&b, "| %s | %s | %s | What follows a connection line. |\n", strings.Join(bridge, ", "), config.PerBridge, later)
	}
	return b.String()
}

func names(o config.Option) string {
	all := []string{"`" + o.Name + "`"}
	for _, alias := range o.Aliases {
		all = append(all, "`"+alias+"`")
	}
	return strings.Join(all, ", ")
}

func TestTableIsComplete(t *testing.T) {
	seen := map[string]bool{}
	var last config.Option
	for _, o := range config.Options() {
		for _, name := range append([]string{o.Name}, o.Aliases...) {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
		if o.Doc == "" || o.Values() == "" || strings.Contains(o.Doc, "|") {
			t.Errorf("%s: doc %q, values %q", o.Name, o.Doc, o.Values())
		}
		if o.State == config.Refused && o.Later == "" {
			t.Errorf("no work is to bring %s", o.Name)
		}
		if o.Kind == config.Number && o.Min >= o.Max {
			t.Errorf("%s has no range", o.Name)
		}
		if o.Kind == config.Word && len(o.Words) == 0 {
			t.Errorf("%s has no words", o.Name)
		}
		// A part begins where the order is broken: there are three.
		if o.Name < last.Name && !slices.Contains([]string{"accept_protocol_versions", "address"}, o.Name) {
			t.Errorf("%s is not in alphabetical order", o.Name)
		}
		last = o
	}
}

// TestEveryWordOfMosquittoIsKnown names the words of mosquitto.conf(5) of Mosquitto
// 2.0 and 2.1, and those that its manual leaves out.
func TestEveryWordOfMosquittoIsKnown(t *testing.T) {
	text, err := os.ReadFile("testdata/words.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, o := range config.Options() {
		for _, name := range append([]string{o.Name}, o.Aliases...) {
			known[name] = true
		}
	}
	words := strings.Fields(string(text))
	if len(words) < 140 {
		t.Errorf("only %d words", len(words))
	}
	for _, word := range words {
		if !known[word] {
			t.Errorf("%s is not known", word)
		}
	}
}
