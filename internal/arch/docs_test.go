package arch

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	text := tr.read(t, "ARCHITECTURE.md")
	for _, p := range tr.sorted() {
		if p.dir != "." && !strings.Contains(text, "`"+p.dir+"`") {
			t.Errorf("ARCHITECTURE.md does not name `%s`", p.dir)
		}
	}
}

// codeMapEntry is a folder in the code map: a table row that begins with its name.
var codeMapEntry = regexp.MustCompile("(?m)^\\| `([a-z0-9/._-]+)` \\|")

func TestArchitectureNamesNoPackageThatIsGone(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	entries := codeMapEntry.FindAllStringSubmatch(tr.read(t, "ARCHITECTURE.md"), -1)
	if len(entries) == 0 {
		t.Fatal("ARCHITECTURE.md has no code map")
	}
	for _, m := range entries {
		if tr.packages[m[1]] == nil {
			t.Errorf("ARCHITECTURE.md's code map names `%s`, which is no package", m[1])
		}
	}
}

func TestDecisionsAreComplete(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	headings := []string{"## Context", "## Options", "## Decision", "## Consequence", "## How we would know it was wrong"}
	seen := make(map[int]string)
	for _, file := range tr.texts {
		if path.Dir(file) != "docs/adr" {
			continue
		}
		text := tr.read(t, file)
		var name, title int
		if _, err := fmt.Sscanf(path.Base(file), "%04d-", &name); err != nil {
			t.Errorf("%s does not begin with a number of four digits", file)
		}
		if _, err := fmt.Sscanf(text, "# %d. ", &title); err != nil || title != name {
			t.Errorf("%s does not begin with \"# %d. \"", file, name)
		}
		if other := seen[name]; other != "" {
			t.Errorf("%s and %s have one number", file, other)
		}
		seen[name] = file
		for _, h := range headings {
			if !strings.Contains(text, "\n"+h+"\n") {
				t.Errorf("%s lacks %q", file, h)
			}
		}
	}
	if len(seen) == 0 {
		t.Error("docs/adr is empty")
	}
}

func TestReadmeCommandIsWhatCIRuns(t *testing.T) {
	t.Parallel()
	tr := loadTree(t)
	const command = "\ngo test ./...\n"
	for _, file := range []string{"README.md", ".ci/run"} {
		if !strings.Contains(tr.read(t, file), command) {
			t.Errorf("%s has no line %q", file, strings.TrimSpace(command))
		}
	}
}

// release is the heading of a release in CHANGELOG.md, as in "## 1.2.0".
var release = regexp.MustCompile(`(?m)^## [0-9]`)

// A fault that no release had is nobody's but ours: who reads CHANGELOG.md never met it.
func TestChangelogMendsNothingThatWasNeverReleased(t *testing.T) {
	t.Parallel()
	text := loadTree(t).read(t, "CHANGELOG.md")
	if release.MatchString(text) {
		return
	}
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "- [BUGFIX]") {
			t.Errorf("CHANGELOG.md:%d: nothing was released yet: say what holds, as [FEATURE], or leave it out: %.60s...", i+1, line)
		}
	}
}
