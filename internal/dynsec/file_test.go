package dynsec_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/dynsec"
)

// The hash of "secret", PBKDF2 with few iterations, as both formats have it.
const (
	salt    = "c2FsdHNhbHRzYWx0"
	sum     = "OdxDgWbUtQ3rYBqrOnceLeJsCWSJOaQkrqenov92XcKlDDbZKJpjESlXxTkg6+23m/QslJwUPE1cq2uoOJN1JQ=="
	triple  = `"password":"` + sum + `","salt":"` + salt + `","iterations":10`
	encoded = `"encoded_password":"$7$10$` + salt + `$` + sum + `"`
)

// whole is a file with everything in it, as Mosquitto writes it.
const whole = `{
	"changeIndex": 41,
	"defaultACLAccess": {"publishClientSend": true, "publishClientReceive": false, "subscribe": true, "unsubscribe": false},
	"clients": [
		{"username": "ann", "textname": "Ann", "textdescription": "<the> first", "roles": [], ` + triple + `},
		{"username": "joe", "clientid": "j", "disabled": true, "roles": [{"rolename": "s", "priority": 3}, {"rolename": "r"}], ` + triple + `}
	],
	"groups": [
		{"groupname": "g", "textname": "G", "textdescription": "group", "roles": [{"rolename": "r", "priority": -7}], "clients": [{"username": "ann"}, {"username": "joe", "priority": 2}]},
		{"groupname": "h", "roles": [], "clients": []}
	],
	"roles": [
		{"rolename": "r", "textname": "R", "textdescription": "role", "allowwildcardsubs": false, "acls": [
			{"acltype": "publishClientSend", "topic": "b", "priority": 5, "allow": true},
			{"acltype": "publishClientSend", "topic": "a/%u", "priority": 0, "allow": false},
			{"acltype": "publishClientReceive", "topic": "#", "priority": -1, "allow": true},
			{"acltype": "subscribeLiteral", "topic": "#", "priority": 0, "allow": true},
			{"acltype": "subscribePattern", "topic": "$share/+/a/#", "priority": 0, "allow": true},
			{"acltype": "unsubscribeLiteral", "topic": "#", "priority": 0, "allow": true},
			{"acltype": "unsubscribePattern", "topic": "#", "priority": 0, "allow": true}
		]},
		{"rolename": "s", "allowwildcardsubs": true, "acls": []}
	],
	"anonymousGroup": "h"
}`

// same reports whether two texts are the same JSON.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

func TestTheFileIsWrittenAsItWasRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{whole, strings.ReplaceAll(whole, triple, encoded)} {
		b := open(t, text)
		b.do("setDefaultACLAccess acls=[]")
		want := strings.Replace(text, `"changeIndex": 41`, `"changeIndex": 42`, 1)
		if got := b.read(); !same(t, got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if b.changes != 1 {
			t.Errorf("told of %d changes", b.changes)
		}
		b.do("listRoles")
		if b.changes != 1 {
			t.Error("told of a change by a command that reads")
		}
	}
}

func TestNewPasswordsHaveTheFormatOfTheFile(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		whole: `"salt": "`,
		strings.ReplaceAll(whole, triple, encoded):    `"encoded_password": "$argon2id$`,
		strings.Replace(whole, triple, encoded, 1):    `"encoded_password": "$argon2id$`, // who has one of 2.1 reads it
		`{"clients":[{"username":"ann"}],"roles":[]}`: `"encoded_password": "$argon2id$`,
	} {
		b := open(t, text)
		b.do("deleteClient username=ann", "createClient username=ann password=new")
		var ann string
		for part := range strings.SplitSeq(b.read(), "{") {
			if strings.Contains(part, `"username": "ann"`) {
				ann += part
			}
		}
		if !strings.Contains(b.read(), want) {
			t.Errorf("no %s in %s", want, b.read())
		}
		again := open(t, b.read())
		again.check(user("ann", "a"), "new", auth.Allow)
		again.check(user("ann", "a"), "old", auth.Deny)
	}
}

func TestMistakesInAFileHaveTheirLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{\n\"clients\": [\n}":           "FILE:3: expected JSON: ",
		"{\"clients\":\n7}":              "FILE:2: clients: expected a list",
		"[]":                             "FILE:1: expected an object with clients, groups and roles",
		"{} x":                           "FILE:1: expected JSON: ",
		"{\"a\": 1,\n\"b\"":              "FILE:2: expected JSON: unexpected EOF",
		"{\"roles\": {},\n\"groups\":7}": "FILE:1: roles: expected a list\nFILE:2: groups: expected a list",
		"\xff":                           "FILE:1: expected JSON: it is not UTF-8",
	} {
		path := filepath.Join(t.TempDir(), "d.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := dynsec.Open(dynsec.Options{Path: path})
		var mistakes mistake.Errors
		if !errors.As(err, &mistakes) || !strings.HasPrefix(strings.ReplaceAll(err.Error(), path, "FILE"), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestWhatMosquittoPassesOverGivesAWarning(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "d.json")
	text := `{"roles":[
7,
{"rolename":"r","acls":[{"acltype":"publish","topic":"a"},
{"acltype":"subscribePattern","topic":"a#"},
{"acltype":"subscribePattern","topic":"b"},{"acltype":"subscribePattern","topic":"b"},{"acltype":"subscribePattern"}]},
{"rolename":"r"}],
"clients":[{},{"username":"joe","roles":[{"rolename":"nix"},{"rolename":"r"},{"rolename":"r"}],"encoded_password":"$argon2id$of another kind"},
{"username":"joe"}],
"groups":[{"groupname":"g","clients":[{"username":"nix"}]}],"anonymousGroup":"nix",
"defaultACLAccess":{"subscribe":"yes"}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, warnings, err := dynsec.Open(dynsec.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, w := range warnings {
		got.WriteString(strings.ReplaceAll(w.String(), path, "FILE") + "\n")
	}
	want := `FILE:10: defaultACLAccess: expected true or false for subscribe; it is denied
FILE:2: ignored: expected an object in roles
FILE:3: role "r": ACL ignored: expected an acltype, not "publish"
FILE:4: role "r": subscribePattern of "a#": `
	if !strings.HasPrefix(got.String(), want) || strings.Count(got.String(), "\n") != 14 {
		t.Errorf("got\n%s", &got)
	}
	// What nobody can read is kept.
	if _, then := s.Handle(admin, []byte(`{"commands":[{"command":"enableClient","username":"joe"}]}`)); then == nil {
		t.Error("nothing to do behind a change")
	}
	if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), "$argon2id$of another kind") {
		t.Errorf("%s, %v", data, err)
	}
}

func TestRereadTakesAGoodFileAndRefusesABadOne(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	reread := func() error {
		t.Helper()
		r, _, err := b.Reread()
		if err == nil {
			r.Use()
		}
		return err
	}
	b.do("createRole rolename=r")
	if err := reread(); err != nil { // its own file
		t.Fatal(err)
	}
	b.do("deleteRole rolename=r")
	b.write(whole)
	if err := reread(); err != nil {
		t.Fatal(err)
	}
	b.allows(user("joe", "j"), "publish b")
	rules := b.Rules()
	b.write("{")
	if err := reread(); err == nil || !strings.Contains(err.Error(), b.path+":1: ") {
		t.Errorf("a broken file: %v", err)
	}
	if b.Rules() != rules {
		t.Error("a broken file changes the rules")
	}
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	if err := reread(); err == nil {
		t.Error("a file that is gone")
	}
	b.do("enableClient username=joe") // writes it
	if r, _, err := b.Reread(); err != nil {
		t.Error(err)
	} else {
		r.Discard()
	}
	b.do("listRoles")
}

// first opens a file that is not there.
func first(t *testing.T, o dynsec.Options) (*dynsec.Security, string, error) {
	t.Helper()
	o.Path = filepath.Join(t.TempDir(), "new.json")
	s, _, err := dynsec.Open(o)
	return s, o.Path, err
}

func env(value string) func(string) (string, bool) {
	return func(name string) (string, bool) { return value, name == "MOSQUITTO_DYNSEC_PASSWORD" && value != "" }
}

func TestTheFirstFile(t *testing.T) {
	t.Parallel()
	s, path, err := first(t, dynsec.Options{LookupEnv: env("long enough 12")})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Security: s, t: t, path: path}
	b.check(user("admin", "a"), "long enough 12", auth.Allow)
	b.check(user("democlient", "a"), "long enough 12", auth.NotMine)
	b.allows(user("admin", "a"), "publish "+dynsec.Topic, "subscribe $CONTROL/#", "receive "+dynsec.Topic+"/response", "subscribe $SYS/#", "subscribe #", "receive x")
	b.denies(user("admin", "a"), "publish x", "publish $SYS/x")
	if _, err := os.Stat(path + ".pw"); err == nil {
		t.Error("a file with passwords that nobody made up")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got := s.Made(); len(got) != 1 || got[0] != path {
		t.Errorf("made %q", got)
	}
	again := open(t, b.read())
	again.allows(user("admin", "a"), "publish "+dynsec.Topic)
	again.denies(&broker0, "publish x", "subscribe x") // the anonymous group has no roles
}

func TestTheFirstPasswordsAreMadeUp(t *testing.T) {
	t.Parallel()
	s, path, err := first(t, dynsec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path + ".pw")
	words := strings.Fields(string(data))
	if err != nil || len(words) != 4 || words[0] != "admin" || words[2] != "democlient" || len(words[1]) != 20 || words[1] == words[3] {
		t.Fatalf("%q, %v", data, err)
	}
	if info, err := os.Stat(path + ".pw"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	b := &bench{Security: s, t: t, path: path}
	b.check(user("admin", "a"), words[1], auth.Allow)
	b.check(user("democlient", "d"), words[3], auth.Allow)
	b.allows(user("democlient", "d"), "publish x", "subscribe #", "receive x")
	b.denies(user("democlient", "d"), "publish "+dynsec.Topic, "subscribe $SYS/#")
	if got := s.Made(); len(got) != 2 {
		t.Errorf("made %q", got)
	}
}

func TestTheFirstPasswordComesFromAFile(t *testing.T) {
	t.Parallel()
	init := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(init, []byte("a password \t\r\nanother line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, path, err := first(t, dynsec.Options{PasswordInitFile: init, LookupEnv: env("not that of the environment")})
	if err != nil {
		t.Fatal(err)
	}
	(&bench{Security: s, t: t, path: path}).check(user("admin", "a"), "a password", auth.Allow)
}

func TestNoFirstFileWithoutAPassword(t *testing.T) {
	t.Parallel()
	blank := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(blank, []byte(" \npassword\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]dynsec.Options{
		"at least 12 bytes":                        {LookupEnv: env("too short")},
		"expected a password in the first line of": {PasswordInitFile: blank},
		"no such file":                             {PasswordInitFile: blank + "x"},
		"no such file or":                          {MustExist: true},
	} {
		if _, path, err := first(t, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		} else if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: the file is there", want)
		}
	}
}
