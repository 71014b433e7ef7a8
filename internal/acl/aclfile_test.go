package acl

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/config/mistake"
)

// mustParse returns the rules of a text that is correct.
func mustParse(t testing.TB, text string) *File {
	t.Helper()
	f, err := parse("acl", []byte(text))
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, text)
	}
	return f
}

// written returns the rules of "user NAME", "-" for those without a name, "%" for patterns, as "ACCESS FILTER".
func written(f *File, whose string) []string {
	var out []string
	for _, r := range f.rules {
		if ownerOf(r) == whose {
			out = append(out, wordOf(r)+" "+r.Topics[0].text)
		}
	}
	return out
}

func wordOf(r *Rule) string {
	for w, a := range accessWords {
		if a.actions == r.Actions && a.deny != r.Allow {
			return w
		}
	}
	return "?"
}

// ownerOf has the word user before a name, since a user may be called "-".
func ownerOf(r *Rule) string {
	if r.plain {
		return "%"
	}
	if r.conditions[0].key.id == keyAnonymous {
		return "-"
	}
	return r.conditions[0].text
}

func TestLinesOfEveryKindAreRead(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "\ufeff# a comment\r\n"+
		"topic read $SYS/#\r\n"+
		"\r\n"+
		"  topic   write   with spaces in/the filter  \t\r\n"+
		"topic a/b\r\n"+
		"pattern read home/%u/#\n"+
		"user joe smith\n"+
		"topic deny +/secret\n"+
		"user  anne \n"+
		"topic readwrite #\n"+
		"pattern %c/x\n"+
		"user joe smith\n"+
		"topic read\n"+
		"topic write write")
	for _, c := range []struct {
		name string
		want []string
	}{
		{"-", []string{"read $SYS/#", "write with spaces in/the filter", "readwrite a/b"}},
		{"user joe smith", []string{"deny +/secret", "readwrite read", "write write"}},
		{"user anne", []string{"readwrite #"}},
		{"%", []string{"read home/%u/#", "readwrite %c/x"}},
	} {
		if got := written(f, c.name); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got, want := f.rules[1].String(), "acl:4: topic   write   with spaces in/the filter"; got != want {
		t.Errorf("rule is %q, want %q", got, want)
	}
}

func TestAllMistakesOfAFileAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := parse("f", []byte("topics a\n"+
		"topic\n"+
		"topic allow a\n"+
		"user\n"+
		"pattern read a/#/b\n"+
		"topic ok\n"+
		" # indented\n"+
		"topic\tread a\n"+
		"topic read a\xff\n"+
		"topic write a+\n"+
		"user a\x00b\n"+
		"pattern deny\n"+
		"topic "+strings.Repeat("a/", 200)+"a\n"))
	var mistakes mistake.Errors
	if !errors.As(err, &mistakes) {
		t.Fatalf("error is %v", err)
	}
	want := []string{
		"f:1: expected `user`, `topic` or `pattern` and a space, not \"topics\"",
		"f:2: expected `topic [read|write|readwrite|deny] FILTER`",
		"f:3: expected `topic [read|write|readwrite|deny] FILTER`, not access type \"allow\"",
		"f:4: expected `user NAME`",
		"f:5: \"a/#/b\" is not a topic filter: misplaced wildcard",
		"f:7: expected `user`, `topic` or `pattern` and a space, not \"#\"; a comment begins in the first column",
		"f:8: expected `user`, `topic` or `pattern` and a space, not \"topic\\tread\"",
		"f:9: \"a\\xff\" is not a topic filter: not UTF-8, or contains a surrogate or NUL",
		"f:10: \"a+\" is not a topic filter: misplaced wildcard",
		"f:11: the user name must be UTF-8 without NUL, or no client can have it",
		"f:13: expected a filter of at most 200 levels, not 201",
	}
	var got []string
	for _, m := range mistakes {
		got = append(got, m.Error())
	}
	if !slices.Equal(got, want) {
		t.Errorf("mistakes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSurprisingLinesAreWarnedOf(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "topic read\ntopic read a/%u\npattern read a\npattern x-%c/#\ntopic read $share/g/a\npattern read %u/%c/#\n")
	want := []string{
		"acl:1: the filter is \"read\", for reading and writing: was a filter behind it forgotten?",
		"acl:2: %u and %c stand for themselves in `topic`: use `pattern`",
		"acl:3: the pattern \"a\" has neither %u nor %c: it holds for everybody",
		"acl:4: %u and %c are not a whole level of \"x-%c/#\": Mosquitto 2.1 does not replace them there",
		"acl:5: no message has such a topic: name the filter of shared subscriptions without $share/GROUP/",
	}
	var got []string
	for _, w := range f.Warnings() {
		got = append(got, w.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestUnreadableFileIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "missing"), dir} {
		f, err := Load(path)
		var mistakes mistake.Errors
		if f != nil || !errors.As(err, &mistakes) || !strings.Contains(err.Error(), path+": the ACL file cannot be read") {
			t.Errorf("Load(%s) = %v, %v", path, f, err)
		}
	}
	path := filepath.Join(dir, "acl")
	if err := os.WriteFile(path, []byte("topic a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := Load(path); err != nil || len(f.rules) != 1 {
		t.Errorf("Load of a correct file = %v, %v", f, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("topic read a/+\nuser joe\npattern deny %u/x%c/#\r\n# end"), "joe", "c/d", "a/b")
	f.Add([]byte("pattern readwrite x%uy%%c/%c"), "a/", "", "$SYS/x")
	f.Fuzz(func(t *testing.T, text []byte, user, id, name string) {
		file, err := parse("f", text)
		if err != nil {
			var mistakes mistake.Errors
			if file != nil || !errors.As(err, &mistakes) || len(mistakes) == 0 {
				t.Fatalf("parse returned %v and %v", file, err)
			}
			return
		}
		compare(t, file, file.Compile(), user, id, name)
	})
}
