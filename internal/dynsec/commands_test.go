package dynsec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
)

// TestAnswersAreThoseOfMosquitto21 has what the differential test with its 2.0 cannot see.
func TestAnswersAreThoseOfMosquitto21(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	for _, c := range []struct{ request, want string }{
		{`{"command":"getDetails","correlationData":"x"}`, `{"command":"getDetails","data":{"clientCount":1,"groupCount":0,"roleCount":0,"changeIndex":0},"correlationData":"x"}`},
		{`{"command":"createRole","rolename":"r","allowwildcardsubs":false}`, `{"command":"createRole"}`},
		{`{"command":"createRole","rolename":"r2","allowwildcardsubs":7}`, `{"command":"createRole","error":"Invalid allowwildcardsubs"}`},
		{`{"command":"getRole","rolename":"r"}`, `{"command":"getRole","data":{"role":{"rolename":"r","allowwildcardsubs":false,"acls":[]}}}`},
		{`{"command":"modifyRole","rolename":"x"}`, `{"command":"modifyRole","error":"Role does not exist"}`},
		{`{"command":"createGroup","groupname":"g","textname":"G","roles":[{"rolename":"r","priority":4}]}`, `{"command":"createGroup"}`},
		{`{"command":"createGroup","groupname":"h","roles":7}`, `{"command":"createGroup","error":"Internal error"}`},
		{`{"command":"modifyGroup","groupname":"g","roles":7}`, `{"command":"modifyGroup","error":"'roles' not an array or missing/invalid rolename"}`},
		{`{"command":"modifyGroup","groupname":"g","clients":[{"username":"joe"}]}`, `{"command":"modifyGroup","error":"'clients' contains an object with a 'username' that does not exist"}`},
		{`{"command":"modifyGroup","groupname":"g","clients":[{"x":1}]}`, `{"command":"modifyGroup","error":"'clients' contains an object with an invalid 'username'"}`},
		{`{"command":"createClient","username":"joe","password":"JOE","groups":[{"groupname":"g","priority":1}],"roles":[{"rolename":"r"}]}`, `{"command":"createClient"}`},
		{`{"command":"createClient","username":"eve","groups":[{"groupname":"nix"}]}`, `{"command":"createClient","error":"Group not found"}`},
		{`{"command":"createClient","username":"eve","roles":[{"rolename":"nix"}]}`, `{"command":"createClient","error":"Role not found"}`},
		{`{"command":"createClient","username":"eve","roles":{}}`, `{"command":"createClient","error":"'roles' not an array or missing/invalid rolename"}`},
		{`{"command":"modifyClient","username":"joe","groups":[{"groupname":"nix"}]}`, `{"command":"modifyClient","error":"'groups' contains an object with a 'groupname' that does not exist"}`},
		{`{"command":"modifyClient","username":"joe","groups":[{"groupname":7}]}`, `{"command":"modifyClient","error":"'groups' contains an object with an invalid 'groupname'"}`},
		{`{"command":"getclient","username":"joe"}`, `{"command":"getClient","data":{"client":{"username":"joe","roles":[{"rolename":"r"}],"groups":[{"groupname":"g","priority":1}],"connections":[]}}}`},
		{`{"command":"GETGROUP","GroupName":"g"}`, `{"command":"getGroup","data":{"group":{"groupname":"g","textname":"G","clients":[{"username":"joe"}],"roles":[{"rolename":"r","priority":4}]}}}`},
		{`{"command":"addGroupRole","groupname":"g","rolename":"r"}`, `{"command":"addGroupRole","error":"Group is already in this role"}`},
		{`{"command":"addGroupClient","groupname":"g","username":"joe"}`, `{"command":"addGroupClient","error":"Client is already in this group"}`},
		{`{"command":"setAnonymousGroup","groupname":"g"}`, `{"command":"setAnonymousGroup"}`},
		{`{"command":"deleteGroup","groupname":"g"}`, `{"command":"deleteGroup","error":"Deleting the anonymous group is forbidden"}`},
		{`{"command":"getDetails"}`, `{"command":"getDetails","data":{"clientCount":2,"groupCount":1,"roleCount":1,"changeIndex":4}}`},
		{`7,{"command":"getDetails"}`, `{"command":"Unknown command","error":"Command not an object"}`},
		{`{"x":1},{"command":"getDetails"}`, `{"command":"Unknown command","error":"Missing command"}`},
		{`{"command":"getDetails","correlationData":7},{"command":"getDetails"}`, `{"command":"getDetails","error":"Invalid correlationData data type."}`},
		{`{"command":"nix","correlationData":"y"}`, `{"command":"nix","error":"Unknown command","correlationData":"y"}`},
		{`{"command":"createRole","rolename":"r3","acls":[{"acltype":"subscribePattern","topic":"a#"}]}`, `{"command":"createRole","error":"Invalid ACL topic"}`},
		{`{"command":"addRoleACL","rolename":"r","acltype":"subscribeLiteral","topic":"a/#"}`, `{"command":"addRoleACL"}`},
		{`{"command":"addRoleACL","rolename":"r","acltype":"SUBSCRIBEliteral","topic":"a/#"}`, `{"command":"addRoleACL","error":"ACL with this topic already exists"}`},
		{`{"command":"removeRoleACL","rolename":"r","acltype":"subscribeLiteral","topic":"a/+"}`, `{"command":"removeRoleACL","error":"ACL not found"}`},
	} {
		if got := b.request(c.request); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.request, got, c.want)
		}
	}
	for payload, want := range map[string]string{
		"":                     `{"responses":[{"command":"Unknown command","error":"Payload not valid JSON"}]}`,
		"\"\xff\"":             `{"responses":[{"command":"Unknown command","error":"Payload not valid JSON"}]}`,
		`{"commands":{}}`:      `{"responses":[{"command":"Unknown command","error":"Invalid/missing commands"}]}`,
		`{"commands":[]} more`: `{"responses":[]}`,
		`{"commands":[` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `]}`: `{"responses":[{"command":"Unknown command","error":"Payload not valid JSON"}]}`,
	} {
		if got, _ := b.Handle(admin, []byte(payload)); string(got) != want {
			t.Errorf("%q: got %s, want %s", payload, got, want)
		}
	}
}

func TestListsHavePages(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do("createRole rolename=b", "createRole rolename=c", "createRole rolename=a")
	for page, want := range map[string]string{
		"":                     `["a","b","c"]`,
		"count=-1":             `["a","b","c"]`,
		"count=2":              `["a","b"]`,
		"count=0":              `["a"]`, // as in Mosquitto
		"offset=1":             `["b","c"]`,
		"offset=3":             `[]`,
		"offset=9":             `[]`,
		"offset=-2 count=1":    `["a"]`,
		"offset=1 count=1":     `["b"]`,
		"count=99999999999999": `["a","b","c"]`,
	} {
		want = `{"command":"listRoles","data":{"totalCount":3,"roles":` + want + `}}`
		if got := b.request(command("listRoles " + page)); got != want {
			t.Errorf("%s: got %s, want %s", page, got, want)
		}
	}
}

// TestWhoLosesRightsIsDisconnected has all commands, with who is to go.
func TestWhoLosesRightsIsDisconnected(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		"createRole rolename=r", "createRole rolename=s", "createRole rolename=of-nobody", "createGroup groupname=g", "createGroup groupname=anon",
		`createClient username=joe password=JOE roles=[{"rolename":"r"}]`, `createClient username=ann password=ANN groups=[{"groupname":"g"}]`,
		"createClient username=eve", "addGroupRole groupname=g rolename=r", "setAnonymousGroup groupname=anon",
	)
	nameless := &broker.Client{ID: "nameless"}
	b.clients = []*broker.Client{user("joe", "joe-1"), user("joe", "joe-2"), user("ann", "ann-1"), user("eve", "eve-1"), nameless, admin}
	b.kicked = nil
	for _, c := range []struct {
		command string
		kicked  []string
	}{
		{"getClient username=joe", nil},
		{"createClient username=new", nil},
		{"createGroup groupname=new", nil},
		{"createRole rolename=new", nil},
		{"enableClient username=joe", nil},
		{"setDefaultACLAccess acls=[]", nil},
		{"setClientPassword username=joe password=x", []string{"joe-1", "joe-2"}},
		{"setClientId username=eve clientid=e", []string{"eve-1"}},
		{"disableClient username=ann", []string{"ann-1"}},
		{"modifyClient username=ann", []string{"ann-1"}},
		{"addClientRole username=eve rolename=s", []string{"eve-1"}},
		{"removeClientRole username=eve rolename=s", []string{"eve-1"}},
		{"addGroupClient groupname=g username=eve", []string{"eve-1"}},
		{"addGroupRole groupname=g rolename=s", []string{"ann-1", "eve-1"}},
		{"addRoleACL rolename=s acltype=publishClientSend topic=a", []string{"ann-1", "eve-1"}},
		{"modifyRole rolename=s textname=S", nil},
		{"modifyRole rolename=s acls=[]", []string{"ann-1", "eve-1"}},
		{"modifyRole rolename=s allowwildcardsubs=false", []string{"ann-1", "eve-1"}},
		{`modifyGroup groupname=g clients=[{"username":"joe"}]`, []string{"ann-1", "eve-1", "joe-1", "joe-2"}},
		{"removeGroupClient groupname=g username=joe", []string{"joe-1", "joe-2"}},
		{"removeGroupRole groupname=g rolename=s", nil},
		{"addRoleACL rolename=r acltype=publishClientSend topic=a", []string{"joe-1", "joe-2"}},
		{"removeRoleACL rolename=r acltype=publishClientSend topic=a", []string{"joe-1", "joe-2"}},
		{"addRoleACL rolename=of-nobody acltype=publishClientSend topic=a", nil},
		{"addGroupRole groupname=anon rolename=r", []string{"nameless"}},
		{"addRoleACL rolename=r acltype=publishClientSend topic=b", []string{"joe-1", "joe-2", "nameless"}},
		{"deleteRole rolename=r", []string{"joe-1", "joe-2", "nameless"}},
		{"setAnonymousGroup groupname=g", []string{"nameless"}},
		{`modifyGroup groupname=anon clients=[{"username":"joe"}]`, []string{"joe-1", "joe-2"}},
		{"deleteGroup groupname=anon", []string{"joe-1", "joe-2"}},
		{"deleteClient username=joe", []string{"joe-1", "joe-2"}},
		{"setClientPassword username=admin password=p", []string{"the one who asked"}},
	} {
		b.do(c.command)
		t.Log(c.command)
		b.wasKicked(c.kicked...)
	}
	b.request(command("addGroupClient groupname=g username=nobody"))
	b.request(command("setClientPassword username=eve password="))
	b.wasKicked() // what is refused changes nothing
}

func TestWhatCannotBeWrittenIsAnErrorAndTriedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, empty)
	if err := os.Rename(b.path, filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.path, 0o700); err != nil { // in the way, even of root
		t.Fatal(err)
	}
	want := `{"command":"createRole","error":"Internal error"},{"command":"getRole","data":{"role":{"rolename":"r","allowwildcardsubs":true,"acls":[]}}}`
	if got := b.request(command("createRole rolename=r") + "," + command("getRole rolename=r")); got != want {
		t.Errorf("got %s", got)
	}
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	b.do("listRoles")
	if !strings.Contains(b.read(), `"rolename": "r"`) {
		t.Errorf("the file is %s", b.read())
	}
}
