package dynsec_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/dynsec"
)

// broker0 is a client without a name.
var broker0 broker.Client

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		"createClient username=joe password=JOE", "createClient username=bound password=B clientid=b-1", "createClient username=off password=OFF",
		"disableClient username=off", "createClient username=none", "createRole rolename=r", "createRole rolename=s", "createGroup groupname=g",
		"addGroupRole groupname=g rolename=s", "addGroupClient groupname=g username=joe", "addClientRole username=joe rolename=r",
	)
	answer := b.check(user("joe", "any"), "JOE", auth.Allow)
	if want := map[string][]string{"role": {"r", "s"}, "group": {"g"}}; !reflect.DeepEqual(answer.Attributes, want) {
		t.Errorf("attributes %v", answer.Attributes)
	}
	b.check(user("joe", "any"), "joe", auth.Deny)
	b.check(user("joe", "any"), "JOE\x00", auth.Deny)
	b.check(user("joe", "any"), "", auth.Deny)
	b.check(user("bound", "b-1"), "B", auth.Allow)
	b.check(user("bound", "b-2"), "B", auth.Deny)
	b.check(user("off", "x"), "OFF", auth.Deny)
	b.check(user("none", "x"), "", auth.Deny)
	b.check(user("stranger", "x"), "JOE", auth.NotMine)
	b.check(&broker0, "JOE", auth.NotMine)
	if answer, err := b.Check(context.Background(), user("joe", "x"), nil); err != nil || answer.Verdict != auth.NotMine {
		t.Errorf("no password: %+v, %v", answer, err)
	}
	b.do("enableClient username=off", "setClientId username=bound", "setClientPassword username=joe password=new")
	b.check(user("off", "x"), "OFF", auth.Allow)
	b.check(user("bound", "b-2"), "B", auth.Allow)
	b.check(user("joe", "any"), "JOE", auth.Deny)
	b.check(user("joe", "any"), "new", auth.Allow)
}

func TestWhoIsLetInStill(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do("createClient username=joe password=JOE")
	joe := user("joe", "j")
	proof := b.check(joe, "JOE", auth.Allow).Proof
	expect := func(want bool) {
		t.Helper()
		if got := b.Valid(joe, proof); got != want {
			t.Errorf("valid: %v", got)
		}
		by := acl.New(acl.Options{Rules: []*acl.Rules{b.Rules()}})
		connect := broker.Access{Client: joe, Action: broker.ActionConnect}
		if got := by.Authorize(connect); got != want && b.Attributes("joe") != nil {
			t.Errorf("a client that its certificate names: %v, %s", got, by.Reason(connect))
		}
	}
	expect(true)
	b.do("disableClient username=joe")
	expect(false)
	b.do("enableClient username=joe", "setClientId username=joe clientid=other")
	expect(false)
	b.do("setClientId username=joe clientid=j")
	expect(true)
	b.do("setClientPassword username=joe password=JOE")
	if b.Valid(joe, proof) {
		t.Error("valid with a password of before")
	}
	b.do("deleteClient username=joe")
	expect(false)
}

// gate is a dynsec.Gate that says what it is told to, and makes no hashes.
type gate func(*auth.Hash) (bool, error)

func (g gate) Matches(_ context.Context, _ *auth.Request, h *auth.Hash) (bool, error) { return g(h) }

func (gate) NewHash(context.Context, *broker.Client, auth.Algorithm, []byte) (*auth.Hash, error) {
	return nil, errors.New("no hash")
}

// TestUnknownClientsTakeAsLong checks that a hash is computed for them, too, and as costly a one.
func TestUnknownClientsTakeAsLong(t *testing.T) {
	t.Parallel()
	b := open(t, whole)
	o := b.options()
	var checked []string
	failure := errors.New("no time")
	o.Gate = gate(func(h *auth.Hash) (bool, error) {
		checked = append(checked, h.String()[:6])
		if len(checked) > 3 {
			return false, failure
		}
		return true, nil
	})
	s, _, err := dynsec.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ann", "stranger", "joe"} {
		if answer, err := s.Check(context.Background(), user(name, "x"), []byte("p")); err != nil || (answer.Verdict == auth.Allow) != (name == "ann") {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
	if want := []string{"$7$10$", "$7$10$", "$7$10$"}; !reflect.DeepEqual(checked, want) {
		t.Errorf("checked %q", checked)
	}
	if _, err := s.Check(context.Background(), user("ann", "x"), []byte("p")); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
}

// counter is a dynsec.Gate that counts hashes, and has something done while one waits.
type counter struct {
	*auth.Gate
	hashes int
	wait   func()
}

func (g *counter) NewHash(_ context.Context, c *broker.Client, _ auth.Algorithm, password []byte) (*auth.Hash, error) {
	g.hashes++
	g.wait()
	if c != admin {
		return nil, errors.New("the hash of somebody else")
	}
	return auth.NewHash(auth.SHA512, 0, password)
}

// TestPasswordsOfARequestWaitAtTheGate checks that nobody else waits with them: neither another request, nor a reload, nor a client.
func TestPasswordsOfARequestWaitAtTheGate(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	o := b.options()
	var s *dynsec.Security
	g := &counter{Gate: auth.NewGate(), wait: func() {
		if answer, _ := s.Handle(admin, []byte(`{"commands":[{"command":"getDetails"}]}`)); len(answer) == 0 {
			t.Error("no answer")
		}
		r, _, err := s.Reread()
		if err != nil {
			t.Error(err)
			return
		}
		r.Discard()
	}}
	o.Gate = g
	s, _, err := dynsec.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for i := range 40 {
		commands = append(commands, fmt.Sprintf(`{"command":"createClient","username":"u%d","password":"p%d"}`, i, i))
	}
	commands = append(commands, `{"command":"createRole","rolename":"r","password":"none"}`, `{"command":"modifyClient","username":"u1","password":""}`)
	_, _ = s.Handle(admin, []byte(`{"commands":[`+strings.Join(commands, ",")+`]}`))
	if g.hashes != 40 {
		t.Errorf("%d hashes of 40 passwords", g.hashes)
	}
	for i := range 40 {
		if a, err := s.Check(t.Context(), user(fmt.Sprint("u", i), "x"), fmt.Append(nil, "p", i)); err != nil || a.Verdict != auth.Allow {
			t.Errorf("u%d: %+v, %v", i, a, err)
		}
	}
}

// TestNobodyLogsInWithoutPassword: an empty password is none, whether a command has it or the file has its hash.
func TestNobodyLogsInWithoutPassword(t *testing.T) {
	t.Parallel()
	hash, err := auth.NewHash(auth.SHA512, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, strings.Replace(empty, "[{", `[{"username":"old","encoded_password":"`+hash.String()+`"},{`, 1))
	b.check(user("old", "x"), "", auth.Deny)
	if got, want := b.request(`{"command":"createClient","username":"joe","password":""}`), `{"command":"createClient"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.check(user("joe", "x"), "", auth.Deny)
	if answer, err := b.Check(t.Context(), user("joe", "x"), nil); err != nil || answer.Verdict == auth.Allow {
		t.Errorf("no password: %+v, %v", answer, err)
	}
	if strings.Contains(b.read(), `"joe","encoded`) {
		t.Errorf("joe has a password: %s", b.read())
	}
}
