package dynsec_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/dynsec"
)

func TestRolesDecideByPriorityThenGroups(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		`createRole rolename=low acls=[{"acltype":"publishClientSend","topic":"a/#","allow":true,"priority":100},{"acltype":"publishClientSend","topic":"l","allow":true}]`,
		`createRole rolename=high acls=[{"acltype":"publishClientSend","topic":"a/b","allow":false},{"acltype":"publishClientSend","topic":"h/#","allow":true,"priority":1},{"acltype":"publishClientSend","topic":"h/x","allow":false,"priority":2}]`,
		`createRole rolename=of-group acls=[{"acltype":"publishClientSend","topic":"#","allow":true,"priority":9}]`,
		"createGroup groupname=g", "addGroupRole groupname=g rolename=of-group priority=1000",
		`createClient username=joe roles=[{"rolename":"low","priority":1},{"rolename":"high","priority":2}]`,
	)
	joe := user("joe", "j")
	b.allows(joe, "publish a/c", "publish l", "publish h/y", "will a/c", "connect")
	b.denies(joe, "publish a/b", "publish h/x", "publish c", "will a/b")
	b.do("addGroupClient groupname=g username=joe")
	b.allows(joe, "publish c")
	b.denies(joe, "publish a/b", "publish h/x") // the client's own roles go first, whatever the group's priority
	if _, why := b.ask(joe, "publish a/b"); why != b.path+":high: publishClientSend deny a/b (priority 0)" {
		t.Errorf("explained by %s", why)
	}
}

func TestGroupsDecideByPriorityThenName(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		`createRole rolename=yes acls=[{"acltype":"publishClientSend","topic":"#","allow":true}]`,
		`createRole rolename=no acls=[{"acltype":"publishClientSend","topic":"#","allow":false}]`,
		"createGroup groupname=a", "createGroup groupname=b", "addGroupRole groupname=a rolename=yes", "addGroupRole groupname=b rolename=no",
		"createClient username=joe", "addGroupClient groupname=b username=joe", "addGroupClient groupname=a username=joe",
	)
	joe := user("joe", "j")
	b.allows(joe, "publish x")
	b.do("removeGroupClient groupname=b username=joe", "addGroupClient groupname=b username=joe priority=0")
	b.denies(joe, "publish x")
}

func TestLiteralsGoBeforePatternsAndAreTheVerySame(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		`createRole rolename=r acls=[{"acltype":"subscribePattern","topic":"a/#","allow":false,"priority":99},{"acltype":"subscribeLiteral","topic":"a/+","allow":true,"priority":-5},{"acltype":"subscribeLiteral","topic":"%u/x","allow":true}]`,
		`createClient username=joe roles=[{"rolename":"r"}]`,
	)
	joe := user("joe", "j")
	b.allows(joe, "subscribe a/+", "subscribe %u/x")
	b.denies(joe, "subscribe a/b", "subscribe a/#", "subscribe +/+", "subscribe joe/x")
	b.do("setDefaultACLAccess acls=[{\"acltype\":\"subscribe\",\"allow\":true}]")
	b.allows(joe, "subscribe +/+", "subscribe #") // a pattern is about what it covers, as in Mosquitto
	b.denies(joe, "subscribe a/b")
}

func TestPlaceholdersAreWholeLevels(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		`createRole rolename=r acls=[{"acltype":"publishClientSend","topic":"%c/%u/#","allow":true},{"acltype":"publishClientSend","topic":"x/%count","allow":true},{"acltype":"subscribePattern","topic":"s/%u/+","allow":true}]`,
		`createClient username=joe roles=[{"rolename":"r"}]`, `createClient username=a/b roles=[{"rolename":"r"}]`, `createClient username=+ roles=[{"rolename":"r"}]`,
	)
	joe := user("joe", "id")
	b.allows(joe, "publish id/joe", "publish id/joe/x", "publish x/%count", "subscribe s/joe/+", "subscribe s/joe/x")
	b.denies(joe, "publish id/ann/x", "publish id/jo/x", "publish id/joey/x", "publish x/idount", "subscribe s/+/+", "subscribe s/ann/x", "subscribe s/joe/#")
	b.denies(user("a/b", "id"), "publish id/a/x", "publish id/a/b/x", "subscribe s/a/b")
	b.denies(user("+", "id"), "publish id/joe/x", "subscribe s/+/x", "subscribe s/joe/x", "subscribe s/+/+")
	b.denies(user("joe", "$CONTROL"), "publish $CONTROL/joe/x")
	b.denies(user("joe", "#"), "publish a/joe/x")
}

func TestSharedSubscriptionsNeedTheirOwnACL(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		`createRole rolename=r acls=[{"acltype":"subscribePattern","topic":"$share/workers/jobs/#","allow":true},{"acltype":"subscribePattern","topic":"open/#","allow":true},{"acltype":"subscribePattern","topic":"secret/#","allow":false,"priority":1},{"acltype":"subscribePattern","topic":"$share/all/#","allow":true},{"acltype":"subscribeLiteral","topic":"$share/g/l","allow":true}]`,
		`createClient username=joe roles=[{"rolename":"r"}]`,
	)
	joe := user("joe", "j")
	b.allows(joe, "subscribe $share/workers/jobs/1", "subscribe $share/workers/jobs/#", "subscribe open/x", "subscribe $share/all/x", "subscribe $share/g/l")
	b.denies(joe, "subscribe jobs/1", "subscribe $share/others/jobs/1", "subscribe $share/workers/#", "subscribe $share/g/open/x", "subscribe $share/all/secret/x", "subscribe l")
	b.do(`setDefaultACLAccess acls=[{"acltype":"subscribe","allow":true}]`)
	b.allows(joe, "subscribe $share/g/other")
	b.denies(joe, "subscribe $share/g/secret/x") // Mosquitto does not see that this is a denied topic
}

func TestRolesMayForbidWildcards(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		`createRole rolename=r allowwildcardsubs=false acls=[{"acltype":"subscribePattern","topic":"a/#","allow":true},{"acltype":"subscribeLiteral","topic":"a/+","allow":true},{"acltype":"unsubscribePattern","topic":"a/#","allow":true}]`,
		`createRole rolename=more acls=[{"acltype":"subscribePattern","topic":"b/#","allow":true}]`,
		`createClient username=joe roles=[{"rolename":"r"},{"rolename":"more","priority":1}]`,
	)
	joe := user("joe", "j")
	b.allows(joe, "subscribe a/b", "subscribe b/+", "unsubscribe a/#")
	b.denies(joe, "subscribe a/#", "subscribe a/+", "subscribe $share/g/a/+", "subscribe +")
	if _, why := b.ask(joe, "subscribe a/+"); !strings.HasSuffix(why, ":r: allowwildcardsubs false") {
		t.Errorf("explained by %s", why)
	}
}

func TestDefaultAccessOpensNoControlTopics(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		`setDefaultACLAccess acls=[{"acltype":"publishClientSend","allow":true},{"acltype":"publishClientReceive","allow":true},{"acltype":"subscribe","allow":true},{"acltype":"unsubscribe","allow":true}]`,
		`createRole rolename=r acls=[{"acltype":"publishClientSend","topic":"#","allow":true},{"acltype":"subscribePattern","topic":"+/#","allow":true}]`,
		`createClient username=joe roles=[{"rolename":"r"}]`,
		`createRole rolename=ctl acls=[{"acltype":"publishClientSend","topic":"$CONTROL/#","allow":true}]`,
		`createClient username=ann roles=[{"rolename":"ctl"}]`,
	)
	joe := user("joe", "j")
	b.allows(joe, "publish a", "receive a", "subscribe #", "unsubscribe #", "publish $other/x", "subscribe $SYS/#")
	b.denies(joe, "publish "+dynsec.Topic, "publish $CONTROL", "receive $CONTROL/x/response", "subscribe $CONTROL/#", "subscribe $CONTROL/+/v1", "unsubscribe $CONTROL/#", "will $CONTROL/x")
	b.allows(user("ann", "a"), "publish "+dynsec.Topic)
	b.denies(user("ann", "a"), "receive "+dynsec.Topic+"/response")
	if _, why := b.ask(joe, "publish a"); why != b.path+":r: publishClientSend allow # (priority 0)" {
		t.Errorf("explained by %s", why)
	}
	if _, why := b.ask(joe, "receive a"); why != b.path+":defaultACLAccess: publishClientReceive allow" {
		t.Errorf("explained by %s", why)
	}
}

func TestWhoHasNoNameIsInTheAnonymousGroup(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	nameless, stranger := &broker.Client{ID: "n"}, user("stranger", "s")
	b.do(
		`setDefaultACLAccess acls=[{"acltype":"publishClientSend","allow":true}]`,
		`createRole rolename=r acls=[{"acltype":"subscribePattern","topic":"a/#","allow":true},{"acltype":"publishClientSend","topic":"x","allow":false}]`,
		"createGroup groupname=anon", "addGroupRole groupname=anon rolename=r",
	)
	b.allows(nameless, "publish x")
	b.denies(nameless, "subscribe a/b")
	b.do("setAnonymousGroup groupname=anon")
	b.allows(nameless, "subscribe a/b", "publish y", "connect")
	b.denies(nameless, "publish x", "subscribe b")
	b.denies(stranger, "publish y", "subscribe a/b", "receive a", "unsubscribe a") // a name that the file does not have
	if _, why := b.ask(stranger, "publish y"); !strings.Contains(why, "no such client") {
		t.Errorf("explained by %s", why)
	}
}

func TestTopicsThatAreNoFiltersGrantNothing(t *testing.T) {
	t.Parallel()
	b := open(t, `{"defaultACLAccess":{"publishClientSend":true,"subscribe":true},"clients":[{"username":"joe","roles":[{"rolename":"yes"}]},{"username":"ann","roles":[{"rolename":"no"}]}],"roles":[
		{"rolename":"yes","acls":[{"acltype":"publishClientReceive","topic":"a#","allow":true}]},
		{"rolename":"no","acls":[{"acltype":"publishClientSend","topic":"a#","allow":false},{"acltype":"publishClientSend","topic":"b","allow":true,"priority":1}]}]}`)
	b.denies(user("joe", "j"), "receive a", "receive a#")
	b.allows(user("joe", "j"), "publish x")
	b.denies(user("ann", "a"), "publish a", "publish c") // nobody can say what it was to be
	b.allows(user("ann", "a"), "publish b", "subscribe a")
	b.do("removeRoleACL rolename=no acltype=publishClientSend topic=a#")
	b.allows(user("ann", "a"), "publish c")
}

// TestRemembered is for clients that have gone: their retained messages and wills are asked about by user name alone.
func TestRememberedClientsHaveTheirRoles(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(
		`createRole rolename=r acls=[{"acltype":"publishClientSend","topic":"a/#","allow":true}]`,
		`createClient username=joe roles=[{"rolename":"r"}]`,
	)
	gone := &broker.Client{ID: "j", Username: "joe", HasUsername: true, Partial: true}
	retained := broker.Access{Client: gone, Action: broker.ActionPublish, Topic: []byte("a/b"), Source: true}
	if !b.Rules().Authorize(retained) {
		t.Error("the retained message of a client that may still publish it is denied")
	}
	b.do("removeClientRole username=joe rolename=r")
	if b.Rules().Authorize(retained) {
		t.Error("the retained message of a client that may not publish it any more is allowed")
	}
}

// TestChangesWhileEverybodyAsks is for the race detector.
func TestChangesWhileEverybodyAsks(t *testing.T) {
	t.Parallel()
	b := open(t, empty)
	b.do(`createRole rolename=r acls=[{"acltype":"publishClientSend","topic":"a/#","allow":true}]`, `createClient username=joe roles=[{"rolename":"r"}]`)
	a := acl.New(acl.Options{Rules: []*acl.Rules{b.Rules()}})
	var asking sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		asking.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				c := user("joe", fmt.Sprint(n))
				if !a.Authorize(broker.Access{Client: c, Action: broker.ActionPublish, Topic: []byte("a/b")}) {
					t.Error("denied what was allowed all the time")
					return
				}
			}
		})
	}
	for n := range 30 {
		b.do(fmt.Sprintf(`createRole rolename=x%d acls=[{"acltype":"publishClientSend","topic":"x","allow":false}]`, n), fmt.Sprintf("addClientRole username=joe rolename=x%d", n))
		a.Set(acl.Options{Rules: []*acl.Rules{b.Rules()}})
	}
	close(stop)
	asking.Wait()
}

// hundred is a client with ten roles of ten ACLs each.
func hundred(t testing.TB) (*acl.Authorizer, *broker.Client) {
	b := open(t, empty)
	var commands []string
	for r := range 10 {
		var acls []string
		for n := range 10 {
			acls = append(acls, fmt.Sprintf(`{"acltype":"publishClientSend","topic":"site/%d/%%u/%d/+","allow":true,"priority":%d}`, r, n, n))
		}
		commands = append(commands, fmt.Sprintf("createRole rolename=r%d acls=[%s]", r, strings.Join(acls, ",")))
	}
	commands = append(commands, "createClient username=joe")
	for r := range 10 {
		commands = append(commands, fmt.Sprintf("addClientRole username=joe rolename=r%d priority=%d", r, r))
	}
	b.do(commands...)
	return acl.New(acl.Options{Rules: []*acl.Rules{b.Rules()}}), user("joe", "j")
}

func TestADecisionAllocatesNothing(t *testing.T) {
	a, c := hundred(t)
	q := broker.Access{Client: c, Action: broker.ActionPublish, Topic: []byte("site/5/joe/5/x")}
	if !a.Authorize(q) {
		t.Fatal("denied")
	}
	if n := testing.AllocsPerRun(100, func() { a.Authorize(q) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkAuthorize/100-ACLs-10-roles is a decision on a message.
func BenchmarkAuthorize(b *testing.B) {
	a, c := hundred(b)
	for name, topic := range map[string]string{"granted": "site/5/joe/5/x", "nothing": "other/5/joe/5/x"} {
		b.Run("100-ACLs-10-roles/"+name, func(b *testing.B) {
			q := broker.Access{Client: c, Action: broker.ActionPublish, Topic: []byte(topic)}
			b.ReportAllocs()
			for b.Loop() {
				a.Authorize(q)
			}
		})
	}
}
