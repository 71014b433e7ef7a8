package acl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/topic"
)

// ruleDecisions are questions to rules files, as "CLIENT ACTION TOPIC" with the answer. A client is USER@ID.
var ruleDecisions = []struct {
	name, rules string
	asks        map[string]bool
}{
	{"nothing is granted without a rule", "", map[string]bool{
		"ann@c publish a": false, "ann@c receive a": false, "ann@c subscribe a": false, "ann@c will a": false, "ann@c unsubscribe a": true, "ann@c connect ": true,
	}},
	{"the first rule decides", "deny write topic=a/b\nallow write topic=a/#\ndeny write topic=a/c", map[string]bool{
		"ann@c publish a/b": false, "ann@c publish a/c": true, "ann@c publish b": false,
	}},
	{"priority goes first", "deny write topic=a/# priority=-5\nallow write topic=a/b\ndeny write topic=a/b priority=2 user=bob", map[string]bool{
		"ann@c publish a/b": true, "bob@c publish a/b": false, "ann@c publish a/c": false,
	}},
	{"denials win", "combine deny\nallow write topic=a/#\ndeny write topic=a/b\nallow write topic=a/b/c priority=1\ndeny write topic=a/b/#", map[string]bool{
		"ann@c publish a": true, "ann@c publish a/b": false, "ann@c publish a/b/c": true, "ann@c publish a/b/d": false,
	}},
	{"defaults", "default allow\ndefault deny receive\ndeny publish topic=secret/#", map[string]bool{
		"ann@c publish a": true, "ann@c publish secret/x": false, "ann@c will secret/x": false, "ann@c receive a": false, "ann@c subscribe #": true,
	}},
	{"a default does not open the state of a bridge", "default allow", map[string]bool{
		"ann@c publish $SYS/broker/connection/x/state": false, "ann@c will $SYS/broker/connection/x/state": false,
		"ann@c receive $SYS/broker/connection/x/state": true, "ann@c subscribe $SYS/broker/connection/x/state": true,
	}},
	{"a rule does", "allow write topic=$SYS/broker/connection/%c/state", map[string]bool{
		"ann@c publish $SYS/broker/connection/c/state": true, "ann@c publish $SYS/broker/connection/x/state": false,
	}},
	{"a default without actions spares connect and unsubscribe", "default deny\ndefault allow publish", map[string]bool{
		"ann@c connect ": true, "ann@c unsubscribe a": true, "ann@c publish a": true, "ann@c receive a": false,
	}},
	{"who may connect", "default deny connect\nallow connect user=ann client=c\ndeny connect", map[string]bool{
		"ann@c connect ": true, "ann@d connect ": false, "bob@c connect ": false,
	}},
	{"a will by itself", "deny publish topic=status/#\nallow will topic=status/%c priority=1", map[string]bool{
		"ann@c will status/c": true, "ann@c will status/d": false, "ann@c publish status/c": false,
	}},
	{"grants of subscriptions cover", "allow subscribe topic=a/+/x,b/#", map[string]bool{
		"ann@c subscribe a/1/x": true, "ann@c subscribe a/+/x": true, "ann@c subscribe a/#": false, "ann@c subscribe +/1/x": false,
		"ann@c subscribe b": true, "ann@c subscribe b/#": true, "ann@c subscribe b/+/c/#": true, "ann@c subscribe #": false, "ann@c subscribe +/b": false,
	}},
	{"denials of subscriptions overlap", "deny subscribe topic=secret/+/x\nallow subscribe topic=#,$SYS/#", map[string]bool{
		"ann@c subscribe #": false, "ann@c subscribe +/+/+": false, "ann@c subscribe secret/#": false, "ann@c subscribe secret/1/x": false,
		"ann@c subscribe secret/+": true, "ann@c subscribe other/#": true, "ann@c subscribe +/a": true, "ann@c subscribe $SYS/#": true, "ann@c subscribe +/+/x": false,
	}},
	{"a filter as it is", "deny subscribe filter=#,+/#\nallow subscribe topic=#", map[string]bool{
		"ann@c subscribe #": false, "ann@c subscribe +/#": false, "ann@c subscribe +/+": true, "ann@c subscribe a": true,
	}},
	{"unsubscribe", "deny unsubscribe topic=cmd/%c", map[string]bool{
		"ann@c unsubscribe cmd/c": false, "ann@c unsubscribe #": false, "ann@c unsubscribe cmd/d": true,
	}},
	{"placeholders", "allow write topic=u/%u/#,x-%c/y,100%%/%u", map[string]bool{
		"ann@c publish u/ann": true, "ann@c publish u/ann/x": true, "ann@c publish u/bob/x": false, "ann@c publish x-c/y": true, "ann@c publish 100%/ann": true,
		"@c publish u//x": false, "ann@c publish u/%u/x": false,
	}},
	{"what is in values acts as nothing", "deny write topic=d/%c/#\nallow write,read topic=a/%u/#,a/%c/x,%u/#,d/#", map[string]bool{
		"+@c publish a/x/y": false, "#@c publish a/x": false, "a/b@c publish a/a/b/x": false, "ann@a/b publish a/a/b/x": false,
		"$SYS@c receive $SYS/x": false, "$SYS@c subscribe $SYS/#": false, "+@c subscribe a/+/#": false, "+@c subscribe +/#": false, "#@c subscribe #": false,
		"ann@x/y publish d/x/y/z": false, "ann@x/y publish d/x/z": true, "a/b@c subscribe a/a/b/#": false,
	}},
	{"topics that begin with $", "allow read topic=#\nallow read topic=$SYS/broker/uptime", map[string]bool{
		"ann@c receive $SYS/x": false, "ann@c receive $SYS/broker/uptime": true, "ann@c subscribe $SYS/#": false, "ann@c subscribe $SYS/broker/uptime": true,
	}},
	{"quotes and blanks", `  allow  write   topic="a b,c/#" user="an\"n","a*b"  # that is all`, map[string]bool{
		`an"n@c publish a b,c/d`: true, "a*b@c publish a b,c": true, "axb@c publish a b,c": false,
	}},
	{"groups", "group g user=ann\ngroup g client=x-* user!=bob\nallow write topic=%g/# group=g", map[string]bool{
		"ann@c publish g/1": true, "joe@x-1 publish g": true, "bob@x-1 publish g": false, "joe@c publish g": false,
	}},
	{"no user name", "allow write topic=a anonymous=yes\nallow write topic=b anonymous=no\nallow write topic=c user!=ann", map[string]bool{
		"@c publish a": true, "@c publish b": false, "@c publish c": true, "ann@c publish a": false, "ann@c publish b": true, "ann@c publish c": false, "bob@c publish c": true,
	}},
}

func askText(t *testing.T, text string) broker.Access {
	t.Helper()
	who, rest, _ := strings.Cut(text, " ")
	if i := strings.Index(text, "@"); i > len(who) { // the user name has a blank
		t.Fatal(text)
	}
	user, id, _ := strings.Cut(who, "@")
	word, name, _ := strings.Cut(rest, " ")
	action, ok := ParseAction(word)
	if !ok {
		t.Fatal(text)
	}
	return broker.Access{
		Client: &broker.Client{ID: id, Username: user, HasUsername: user != ""}, Action: action, Topic: []byte(name),
	}
}

func TestRulesDecide(t *testing.T) {
	t.Parallel()
	for _, d := range ruleDecisions {
		file := mustParseRules(t, d.rules)
		rules := file.Compile()
		z := New(Options{Rules: []*Rules{rules}})
		for text, want := range d.asks {
			q := askText(t, text)
			if got := z.Authorize(q); got != want {
				e := rules.Explain(q)
				t.Errorf("%s: %s: %v by %s", d.name, text, got, &e)
			}
			compareRules(t, rules, q)
		}
	}
}

// compareRules holds the compiled decision against going through all rules in their order.
func compareRules(t *testing.T, r *Rules, q broker.Access) {
	t.Helper()
	f := newFacts(q.Client, r.model.Groups)
	want, by := r.model.Allow.has(q.Action) && broker.WithoutRules(q), "default"
	for _, rule := range r.sorted {
		if rule.Actions.has(q.Action) && rule.concerns(f) && rule.decides(f, &q) && aboutTopic(rule, f, &q) {
			want, by = rule.Allow, rule.String()
			break
		}
	}
	e := r.Explain(q)
	if got := r.Authorize(q); got != want || e.Allow != want || e.Rule != nil && e.String() != by {
		t.Fatalf("%+v of %q@%q: compiled %v by %s, by the list %v by %s", q, q.Client.Username, q.Client.ID, got, &e, want, by)
	}
}

// aboutTopic decides in the plainest way: it writes the filters out and asks package topic.
func aboutTopic(r *Rule, f *facts, q *broker.Access) bool {
	if filters.has(q.Action) || len(r.Topics) == 0 {
		return r.matchesTopic(f, q)
	}
	for i := range r.Topics {
		for _, own := range r.Topics[i].expand(f, r.Allow) {
			if strings.HasPrefix(own, "$") == strings.HasPrefix(r.Topics[i].text, "$") && topic.Match(own, string(q.Topic)) {
				return true
			}
		}
	}
	return false
}

// randomRulesFile returns a rules file. Its words make matches likely.
func randomRulesFile(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	var b strings.Builder
	b.WriteString(pick("", "combine deny\n", "default allow\n", "group g user=a\n"))
	for range r.IntN(15) {
		fmt.Fprintf(&b, "%s %s", pick("allow", "deny"), pick("publish", "read", "write", "will", "subscribe", "receive,publish", "unsubscribe"))
		levels := make([]string, 1+r.IntN(3))
		for i := range levels {
			levels[i] = pick("a", "b", "+", "%u", "%c", "", "$x", "x%u", "%c%u", "a%%", "%{k}")
		}
		if r.IntN(3) == 0 {
			levels[len(levels)-1] = "#"
		}
		filter := strings.Join(levels, "/")
		if strings.Count(filter, "%{k}") > 1 || filter == "" {
			filter = "/a"
		}
		fmt.Fprintf(&b, " topic=%s,b/%%c", filter)
		b.WriteString(pick("", "", " user=a", " user=a,b", " client=a*", " client=b", " anonymous=yes", " user!=b", " group=g", " attribute.k=v", " priority=1", " user=b client!=a"))
		b.WriteString("\n")
	}
	return b.String()
}

func TestCompiledRulesDecideAsTheList(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	names := []string{"", "a", "b", "a/b", "+", "a#", "$x", "a%", "v"}
	for range 1500 {
		rules := mustParseRules(t, randomRulesFile(r)).Compile()
		for range 20 {
			c := &broker.Client{ID: names[r.IntN(len(names))], Username: names[r.IntN(len(names))], Attributes: map[string][]string{"k": {"v", "a/b", "a"}}}
			c.HasUsername = c.Username != ""
			q := broker.Access{Client: c, Action: broker.ActionPublish + broker.Action(r.IntN(6)), Topic: []byte(randomName(r))}
			if r.IntN(3) == 0 && filters.has(q.Action) {
				q.Topic = append(q.Topic, "/#"...)
			}
			compareRules(t, rules, q)
		}
	}
}

func FuzzParseRules(f *testing.F) {
	for _, d := range ruleDecisions {
		f.Add([]byte(d.rules), "ann", "c", "a/b")
	}
	f.Add([]byte("group \"a b\" san!=x*y\nallow connect group=\"a b\" priority=-3 port=..80\ndefault deny connect # x"), "a/", "", "$SYS/x")
	f.Fuzz(func(t *testing.T, text []byte, user, id, name string) {
		file, err := parseRules("f", text)
		if err != nil {
			var mistakes mistake.Errors
			if file != nil || !errors.As(err, &mistakes) || len(mistakes) == 0 {
				t.Fatalf("parseRules returned %v and %v", file, err)
			}
			return
		}
		if topic.ValidName(name) != nil {
			return
		}
		rules := file.Compile()
		for a := broker.ActionPublish; a <= broker.ActionConnect; a++ {
			compareRules(t, rules, broker.Access{Client: &broker.Client{ID: id, Username: user, HasUsername: user != ""}, Action: a, Topic: []byte(name)})
		}
	})
}

func TestRememberedClientsKeepWhatOnlyTheirConnectionCouldTell(t *testing.T) {
	t.Parallel()
	rules := mustParseRules(t, "deny publish topic=a/# tls=no\nallow publish topic=a/# address=10.0.0.0/8 group=ops dup=no\nallow will topic=w cn=x\nallow publish topic=host/%i").Compile()
	here := broker.Client{ID: "c", Username: "u", HasUsername: true, Partial: true}
	ask := func(name string, partial bool) bool {
		return rules.Authorize(broker.Access{
			Client: &broker.Client{ID: here.ID, Username: here.Username, HasUsername: true, Partial: partial},
			Action: broker.ActionPublish, Topic: []byte(name), Retain: true, Source: true,
		})
	}
	for name, want := range map[string]bool{"a/b": true, "w": true, "host/1.2.3.4": true, "b": false} {
		if got := ask(name, true); got != want {
			t.Errorf("remembered: %s: %v", name, got)
		}
		if ask(name, false) {
			t.Errorf("known, and without what the rules ask for: %s is allowed", name)
		}
	}
}

// TestClientsWithTheSameRulesShareAView looks at what is kept of them.
func TestClientsWithTheSameRulesShareAView(t *testing.T) {
	t.Parallel()
	rules := mustParseRules(t, "allow read topic=a/%c client=dev-*\nallow read topic=b/%c user=ann\nallow write topic=c address=10.0.0.0/8").Compile()
	viewOf := func(user, id string) *view { return rules.setOf(client(user, id)).view }
	one, two, other := viewOf("-", "dev-1"), viewOf("bob", "dev-2"), viewOf("ann", "dev-1")
	if one != two || one == other || len(one.rules) != 1 || len(other.rules) != 2 {
		t.Errorf("views %p, %p with %d rules, %p with %d", one, two, len(one.rules), other, len(other.rules))
	}
}

// TestRolesOfAClientDecideInItsOrder assigns rules as dynamic security does.
func TestRolesOfAClientDecideInItsOrder(t *testing.T) {
	t.Parallel()
	rule := func(id uint32, allow bool, m Match, action broker.Action, filter string) *Rule {
		f, err := ParseFilter(filter, m)
		if err != nil {
			t.Fatal(err)
		}
		return &Rule{ID: id, File: "f", Line: int(id), Text: filter, Allow: allow, Actions: ActionsOf(action), Topics: []Filter{f}}
	}
	grant, refuse := rule(1, true, Same, broker.ActionPublish, "a/%u"), rule(2, false, Same, broker.ActionPublish, "a/#")
	literal, pattern := rule(3, true, Same, broker.ActionSubscribe, "b/#"), rule(4, false, Covers, broker.ActionSubscribe, "b/+/c")
	rules := Model{
		Rules: []*Rule{grant, refuse, literal, pattern}, Allow: ActionsOf(broker.ActionReceive),
		Assign: func(c *broker.Client) []*Rule {
			if c.Username == "x" {
				return []*Rule{grant, refuse, literal, pattern}
			}
			return []*Rule{refuse, grant, pattern, literal}
		},
	}.Compile()
	for text, want := range map[string]bool{
		"x@c publish a/x": true, "x@c publish a/y": false, "y@c publish a/y": false, "x@c receive q": true, "x@c publish q": false,
		"x@c subscribe b/#": true, "x@c subscribe b/1/c": false, "y@c subscribe b/#": true, "y@c subscribe b": false,
	} {
		if got := rules.Authorize(askText(t, text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestWildcardsDoNotOpenWhatMustBeSpelledOut asks about paths of requests, whose first two levels a
// grant has to name.
func TestWildcardsDoNotOpenWhatMustBeSpelledOut(t *testing.T) {
	t.Parallel()
	acl := func(text string) *Rules { return mustParse(t, "user api\n"+text).Compile() }
	rules := func(text string) *Rules { return mustParseRules(t, text).Compile() }
	for _, c := range []struct {
		rules *Rules
		allow bool
	}{
		{acl("topic read #"), false},
		{acl("topic read /#"), false},
		{acl("topic read +/#"), false},
		{acl("topic read /+/v1/bans"), false},
		{acl("topic read +/api/v1/bans"), false},
		{acl("pattern read /%u/#"), false},
		{acl("topic read /api/#"), true},
		{acl("topic read /api/+/+"), true},
		{acl("topic read /api/v1/bans"), true},
		{acl("topic read /api/#\ntopic deny #"), false},
		{acl("topic read /api/#\ntopic deny /+/v1/#"), false},
		{acl("topic read /api/#\ntopic deny +/api/v1/bans"), false},
		{rules("default allow"), false},
		{rules("allow receive topic=#,/#,+/+/#"), false},
		{rules("allow receive topic=/%u/#"), false},
		{rules("allow receive topic=/a%%pi/#"), false},
		{rules("allow receive topic=/api/v1/%n\ndefault allow"), false},
		{rules("allow receive topic=/api/v1/#"), true},
		{rules("deny receive\nallow receive topic=/api/v1/#"), false},
		{rules("deny receive topic=/%u/#\nallow receive topic=/api/v1/#"), false},
	} {
		q := broker.Access{
			Client: &broker.Client{ID: "http-api", Username: "api", HasUsername: true}, Action: broker.ActionReceive,
			Topic: []byte("/api/v1/bans"), Spelled: 2,
		}
		if got := c.rules.Authorize(q); got != c.allow {
			t.Errorf("%v, want %v: %+v", got, c.allow, c.rules.Explain(q))
		}
	}
}

// TestAnotherNameIsDeniedByRulesAlone asks about another name of what is allowed.
func TestAnotherNameIsDeniedByRulesAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"topic read /x/": true, "topic read /x/\ntopic deny /x/index.html": false, "topic deny #": false, "topic read #": true,
	} {
		q := broker.Access{Client: &broker.Client{}, Action: broker.ActionReceive, Topic: []byte("/x/index.html"), Alias: true}
		if got := mustParse(t, text).Compile().Authorize(q); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
