package acl

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/topic"
)

// client returns one with a user name, if that is not "-", and an id.
func client(user, id string) *broker.Client {
	if user == "-" {
		return &broker.Client{ID: id}
	}
	return &broker.Client{ID: id, Username: user, HasUsername: true}
}

// decisions are questions to rules, with the answers for reading and for writing. The
// test with Mosquitto asks them, too, except where it differs.
var decisions = []struct {
	name, rules string
	differs     bool // from Mosquitto 2.0
	asks        []ask
}{
	{name: "an empty file denies everything", rules: "", asks: []ask{
		{"-", "c", "a", false, false},
		{"joe", "c", "a", false, false},
	}},
	{name: "access types", rules: "topic read r\ntopic write w\ntopic readwrite rw\ntopic both\ntopic deny d", asks: []ask{
		{"-", "c", "r", true, false},
		{"-", "c", "w", false, true},
		{"-", "c", "rw", true, true},
		{"-", "c", "both", true, true},
		{"-", "c", "d", false, false},
		{"-", "c", "other", false, false},
	}},
	{name: "deny comes first, wherever it is", rules: "topic a/#\ntopic deny a/b/#\ntopic a/b/c\ntopic deny +/x", asks: []ask{
		{"-", "c", "a", true, true},
		{"-", "c", "a/c", true, true},
		{"-", "c", "a/b", false, false},
		{"-", "c", "a/b/c", false, false},
		{"-", "c", "a/x", false, false},
	}},
	{name: "a user has its own rules and not the anonymous ones", rules: "topic anon\nuser joe\ntopic joes\nuser anne\ntopic annes\nuser joe\ntopic deny joes/x\ntopic joes/#", asks: []ask{
		{"-", "c", "anon", true, true},
		{"-", "c", "joes", false, false},
		{"joe", "c", "anon", false, false},
		{"joe", "c", "joes/y", true, true},
		{"joe", "c", "joes/x", false, false},
		{"joe", "c", "annes", false, false},
		{"bob", "c", "anon", false, false},
	}},
	{name: "patterns hold for everybody", rules: "user joe\npattern read u/%u/#\npattern write c/%c\npattern all\ntopic deny u/joe/x", asks: []ask{
		{"joe", "id", "u/joe/a", true, false},
		{"joe", "id", "u/joe", true, false},
		{"joe", "id", "u/anne/a", false, false},
		{"joe", "id", "u/joe/x", false, false},
		{"anne", "id", "u/anne/x", true, false},
		{"joe", "id", "c/id", false, true},
		{"joe", "other", "c/id", false, false},
		{"-", "id", "c/id", false, true},
		{"-", "id", "u//x", false, false},
		{"-", "id", "u/%u/x", false, false},
		{"-", "id", "all", true, true},
		{"anne", "id", "all", true, true},
	}},
	{name: "a pattern's deny comes before patterns and behind the user's rules", rules: "pattern deny +/%u/secret\npattern +/%u/#\nuser joe\ntopic a/joe/secret", asks: []ask{
		{"joe", "c", "a/joe/secret", true, true},
		{"joe", "c", "b/joe/secret", false, false},
		{"joe", "c", "b/joe/x", true, true},
		{"anne", "c", "b/anne/secret", false, false},
		{"anne", "c", "b/joe/x", false, false},
	}},
	{name: "wildcards in names act as nothing", rules: "pattern read %u/%c\npattern read all\ntopic own\nuser +\ntopic own", asks: []ask{
		{"+", "c", "joe/c", false, false},
		{"joe", "#", "joe/c", false, false},
		{"joe", "+", "joe/c", false, false},
		{"joe", "c#", "all", false, false},
		{"+", "c", "all", false, false},
		{"+", "c", "own", true, true},
		{"-", "a+b", "own", true, true},
	}},
	{name: "slashes in names act as nothing", rules: "pattern read %c/x\npattern deny d/%c/#\npattern read d/#", differs: true, asks: []ask{
		{"-", "a/b", "a/b/x", false, false},
		{"-", "a/b", "a/x", false, false},
		{"-", "a/b", "d/a/b/c", false, false},
		{"-", "a/b", "d/a", true, false},
		{"-", "a/", "a//x", false, false},
	}},
	{name: "empty names match nothing", rules: "pattern %u/x\npattern x%uy", differs: true, asks: []ask{
		{"", "c", "/x", false, false},
		{"", "c", "xy", false, false},
		{"-", "c", "/x", false, false},
	}},
	{name: "names within a level", rules: "pattern dev-%c/#\npattern %u:%c", asks: []ask{
		{"-", "7", "dev-7/x", true, true},
		{"-", "7", "dev-8/x", false, false},
		{"-", "7", "dev-77/x", false, false},
		{"joe", "7", "joe:7", true, true},
		{"joe", "7", "joe:77", false, false},
		{"-", "7", ":7", false, false},
	}},
	{name: "topics that begin with $", rules: "topic #\ntopic +/x\ntopic $x/a\ntopic $SYS/broker/#\npattern $y/%c", asks: []ask{
		{"-", "c", "$x/x", false, false},
		{"-", "c", "$x/a", true, true},
		{"-", "c", "$y/c", true, true},
		{"-", "c", "$y/d", false, false},
	}},
	{name: "no name leads to topics that begin with $", rules: "pattern %u/#\npattern +/%c", differs: true, asks: []ask{
		{"$SYS", "c", "$SYS/x", false, false},
		{"-", "x", "$SYS/x", false, false},
		{"$x", "c", "$x", false, false},
	}},
	{name: "filters with spaces and empty levels", rules: "topic read a b/c d\ntopic /+\ntopic x//#", asks: []ask{
		{"-", "c", "a b/c d", true, false},
		{"-", "c", "/y", true, true},
		{"-", "c", "y", false, false},
		{"-", "c", "x//", true, true},
		{"-", "c", "x/", true, true},
		{"-", "c", "x", false, false},
	}},
}

type ask struct {
	user, id, topic string
	read, write     bool
}

func TestRulesAllowAndDenyAsWritten(t *testing.T) {
	t.Parallel()
	for _, d := range decisions {
		file := mustParse(t, d.rules)
		rules := file.Compile()
		for _, q := range d.asks {
			c := client(q.user, q.id)
			compare(t, file, rules, c.Username, q.id, q.topic)
			if got := may(rules, c, broker.ActionReceive, q.topic); got != q.read {
				t.Errorf("%s: user %q, client %q reads %q: %v", d.name, q.user, q.id, q.topic, got)
			}
			if got := may(rules, c, broker.ActionPublish, q.topic); got != q.write {
				t.Errorf("%s: user %q, client %q writes %q: %v", d.name, q.user, q.id, q.topic, got)
			}
		}
	}
}

func may(z broker.Authorizer, c *broker.Client, action broker.Action, name string) bool {
	return z.Authorize(broker.Access{Client: c, Action: action, Topic: []byte(name)})
}

// compare asks compiled rules what the rules as they are written say, with and without a user name.
func compare(t *testing.T, file *File, r *Rules, user, id, name string) {
	t.Helper()
	if topic.ValidName(name) != nil {
		return
	}
	for _, c := range []*broker.Client{client("-", id), {ID: id, Username: user, HasUsername: true}} {
		for action := broker.ActionPublish; action <= broker.ActionConnect; action++ {
			a := broker.Access{Client: c, Action: action, Topic: []byte(name)}
			want, rule := asWritten(file, a)
			if got := r.Authorize(a); got != want {
				t.Fatalf("user %q (%v), client %q, action %d on %q: compiled %v, written %v by %q",
					c.Username, c.HasUsername, c.ID, action, name, got, want, rule)
			}
			e := r.Explain(a)
			if e.String() == "" || e.Allow != want || rule != "" && e.String() != rule {
				t.Fatalf("%+v is explained by %q, want %q", a, &e, rule)
			}
		}
	}
}

// asWritten decides by an ACL file in the plainest way, and returns the rule.
func asWritten(f *File, a broker.Access) (allow bool, rule string) {
	if !messages.has(a.Action) {
		return true, ""
	}
	c, name := a.Client, string(a.Topic)
	own, patterns := "-", "%"
	if c.HasUsername {
		own = "user " + c.Username
	}
	allow, rule, decided := decide(f, own, a.Action, func(filter string, _ bool) bool { return topic.Match(filter, name) })
	if !decided && !hasWildcard(c.Username) && !hasWildcard(c.ID) {
		allow, rule, _ = decide(f, patterns, a.Action, func(filter string, deny bool) bool { return matchPattern(filter, deny, c, name) })
	}
	return allow, rule
}

// decide goes through rules as they are written: first those that deny, then the others.
func decide(f *File, whose string, action broker.Action, match func(filter string, deny bool) bool) (allow bool, rule string, decided bool) {
	for _, allow := range []bool{false, true} {
		for _, r := range f.rules {
			if ownerOf(r) == whose && r.plain == (whose == "%") && r.Allow == allow && r.Actions.has(action) && match(r.Topics[0].text, !allow) {
				return allow, r.String(), true
			}
		}
	}
	return false, "", false
}

// matchPattern compares a name with the filter that a pattern is for this client.
func matchPattern(filter string, deny bool, c *broker.Client, name string) bool {
	for mark, v := range map[string]string{"%u": c.Username, "%c": c.ID} {
		if strings.Contains(filter, mark) && (v == "" || strings.Contains(v, "/") && !deny) {
			return false
		}
	}
	if strings.HasPrefix(name, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	return topic.Match(strings.NewReplacer("%u", c.Username, "%c", c.ID).Replace(filter), name)
}

func TestSubscriptionsAreNotLimited(t *testing.T) {
	t.Parallel()
	rules := mustParse(t, "topic deny #").Compile()
	for _, filter := range []string{"#", "a", "$SYS/#"} {
		if !may(rules, client("joe", "c"), broker.ActionSubscribe, filter) {
			t.Errorf("subscribing to %s is refused", filter)
		}
	}
}

func TestExplainNamesTheRule(t *testing.T) {
	t.Parallel()
	rules := mustParse(t, "user joe\ntopic read a/#\ntopic a/b\ntopic deny a/secret\npattern %u/#").Compile()
	for _, c := range []struct {
		client *broker.Client
		action broker.Action
		topic  string
		want   string
	}{
		{client("joe", "c"), broker.ActionReceive, "a/b", "acl:2: topic read a/#"},
		{client("joe", "c"), broker.ActionPublish, "a/b", "acl:3: topic a/b"},
		{client("joe", "c"), broker.ActionReceive, "a/secret", "acl:4: topic deny a/secret"},
		{client("joe", "c"), broker.ActionPublish, "joe/x", "acl:5: pattern %u/#"},
		{client("joe", "c"), broker.ActionPublish, "other", "no rule grants it"},
		{client("joe", "+"), broker.ActionPublish, "joe/x", "no pattern grants anything to a client with + or # in its user name or client id"},
		{client("joe", "c"), broker.ActionSubscribe, "#", "an ACL file does not limit subscriptions: each message is checked at its delivery"},
	} {
		rule := rules.Explain(broker.Access{Client: c.client, Action: c.action, Topic: []byte(c.topic)})
		if rule.String() != c.want {
			t.Errorf("%s on %s: %q, want %q", c.client.Username, c.topic, &rule, c.want)
		}
	}
}

// randomRules returns an ACL file. Its words make matches likely; plain leaves out what
// Unio and Mosquitto 2.0 decide differently.
func randomRules(r *rand.Rand, plain bool) string {
	words := []string{"a", "b", "c", "+", "+", "%u", "%c", "", "$x"}
	if !plain {
		words = append(words, "x%u", "%c%u", "%%c", "a/b")
	}
	var b strings.Builder
	for range r.IntN(12) {
		switch r.IntN(4) {
		case 0:
			fmt.Fprintf(&b, "user %s\n", []string{"a", "b", "joe"}[r.IntN(3)])
			continue
		case 1:
			b.WriteString("pattern ")
		default:
			b.WriteString("topic ")
		}
		b.WriteString([]string{"", "read ", "write ", "readwrite ", "deny "}[r.IntN(5)])
		levels := make([]string, 1+r.IntN(4))
		for i := range levels {
			levels[i] = words[r.IntN(len(words))]
		}
		if r.IntN(3) == 0 {
			levels[len(levels)-1] = "#"
		}
		filter := strings.Join(levels, "/")
		if filter == "" || plain && strings.HasPrefix(filter, "%") {
			filter = "/" + filter
		}
		b.WriteString(filter + "\n")
	}
	return b.String()
}

func randomName(r *rand.Rand) string {
	words := []string{"a", "b", "c", "joe", "", "$x", "%u", "xa", "x"}
	levels := make([]string, 1+r.IntN(5))
	for i := range levels {
		levels[i] = words[r.IntN(len(words))]
	}
	if name := strings.Join(levels, "/"); name != "" {
		return name
	}
	return "/"
}

func TestCompiledRulesDecideAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	names := []string{"", "a", "b", "joe", "c", "a/b", "a/", "+", "a#", "$x", "%c", "x"}
	for range 4000 {
		file := mustParse(t, randomRules(r, false))
		rules := file.Compile()
		for range 20 {
			compare(t, file, rules, names[r.IntN(len(names))], names[r.IntN(len(names))], randomName(r))
		}
	}
}

func TestAuthorizerHasRulesPerListenerAndReloads(t *testing.T) {
	t.Parallel()
	a, b := mustParse(t, "topic a").Compile(), mustParse(t, "topic b").Compile()
	z := New(Options{Rules: []*Rules{a}, Listeners: map[string][]*Rules{"inner": nil, "other": {b}, "both": {a, b}}})
	for listener, want := range map[string]string{"": "a", "inner": "ab", "other": "b", "both": ""} {
		c := &broker.Client{ID: "c", Listener: listener}
		got := ""
		for _, name := range []string{"a", "b"} {
			if may(z, c, broker.ActionPublish, name) {
				got += name
			}
		}
		if got != want {
			t.Errorf("listener %q: may publish to %q, want %q", listener, got, want)
		}
		_, why := z.Explain(broker.Access{Client: c, Action: broker.ActionPublish, Topic: []byte("a")})
		got = ""
		for _, e := range why {
			got += e.String() + "; "
		}
		reasons := map[string]string{
			"": "acl:1: topic a; ", "inner": "", "other": "no rule grants it; ", "both": "acl:1: topic a; no rule grants it; ",
		}
		if got != reasons[listener] {
			t.Errorf("listener %q: explained by %q", listener, got)
		}
	}
	for listener, want := range map[string]string{"other": "no rule grants it", "both": "acl: no rule grants it", "": "it is allowed"} {
		c := &broker.Client{ID: "c", Listener: listener}
		if got := z.Reason(broker.Access{Client: c, Action: broker.ActionPublish, Topic: []byte("a")}); got != want {
			t.Errorf("listener %q: reason %q, want %q", listener, got, want)
		}
	}
	c := client("-", "c")
	if !may(z, c, broker.ActionPublish, "a") || may(z, c, broker.ActionPublish, "b") {
		t.Error("the first rules are not in force")
	}
	z.Set(Options{Rules: []*Rules{b}})
	if may(z, c, broker.ActionPublish, "a") || !may(z, c, broker.ActionPublish, "b") {
		t.Error("Set did not replace the rules")
	}
}
