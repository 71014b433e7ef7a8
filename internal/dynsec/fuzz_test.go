package dynsec_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/dynsec"
)

// FuzzHandle checks that any request gets an answer that is JSON, and that the file can be read again, with the same content, whatever it has done.
func FuzzHandle(f *testing.F) {
	for _, seed := range []string{
		`{"commands":[{"command":"createRole","rolename":"r","acls":[{"acltype":"publishClientSend","topic":"a/%u","allow":true}]}]}`,
		`{"commands":[{"command":"createGroup","groupname":"g"},{"command":"createClient","username":"u","groups":[{"groupname":"g","priority":-1e99}]},{"command":"deleteGroup","groupname":"g"}]}`,
		`{"commands":[{"command":"setAnonymousGroup","groupname":"h"},{"command":"modifyClient","username":"joe","roles":[{"rolename":"s"}],"groups":[]},{"command":"deleteRole","rolename":"s"}]}`,
		`{"commands":[{"command":"listRoles","verbose":true,"count":-7,"offset":-9},{"command":"getDetails","correlationData":"\ud800"}]}`,
		`[{"`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if strings.Contains(string(payload), "assword") {
			t.Skip("hashes take long")
		}
		b := open(t, whole)
		response, then := b.Handle(admin, payload)
		if !json.Valid(response) {
			t.Errorf("%q", response)
		}
		if then != nil {
			_ = then()
		}
		b.do("setDefaultACLAccess acls=[]")
		before := b.read()
		s, warnings, err := dynsec.Open(dynsec.Options{Path: b.path})
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v, %v, of %s", err, warnings, before)
		}
		again := &bench{Security: s, t: t, path: b.path}
		again.do("setDefaultACLAccess acls=[]")
		var x, y map[string]any
		if json.Unmarshal([]byte(before), &x) != nil || json.Unmarshal([]byte(again.read()), &y) != nil {
			t.Fatal("the file is no JSON")
		}
		delete(x, "changeIndex")
		delete(y, "changeIndex")
		if !reflect.DeepEqual(x, y) {
			t.Errorf("read again:\n%v\n%v", x, y)
		}
	})
}
