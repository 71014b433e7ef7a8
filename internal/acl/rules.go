package acl

import (
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/topic"
)

// Rules are those of an ACL file, ready for use. They do not change, and may be used by
// any number of goroutines.
type Rules struct {
	file      *File
	anonymous *node
	users     map[string]*node
	patterns  *node
}

var _ broker.Authorizer = (*Rules)(nil)

// Compile prepares the rules of the file for use.
func (f *File) Compile() *Rules {
	r := &Rules{
		file:      f,
		anonymous: tree(f.anonymous, false),
		users:     make(map[string]*node, len(f.users)),
		patterns:  tree(f.patterns, true),
	}
	for name, rules := range f.users {
		r.users[name] = tree(rules, false)
	}
	return r
}

// tree returns nil if there are no rules.
func tree(rules []Rule, patterns bool) *node {
	if len(rules) == 0 {
		return nil
	}
	root := &node{}
	for _, rule := range rules {
		root.add(rule, patterns)
	}
	return root
}

// needed returns the access that an action needs. As in Mosquitto, an ACL file does not
// limit subscriptions, it decides message by message at delivery: then ok is false.
func needed(action broker.Action) (need access, ok bool) {
	switch action {
	case broker.ActionPublish:
		return write, true
	case broker.ActionReceive:
		return read, true
	default:
		return 0, false
	}
}

// Authorize decides by the rules alone, without what Authorizer adds to them. First come
// the rules of the client's user, or those for clients without one; if none of them
// decides, the patterns. Among either, deny comes before all others.
func (r *Rules) Authorize(a broker.Access) bool {
	need, limited := needed(a.Action)
	if !limited {
		return true
	}
	own := r.anonymous
	if a.Client.HasUsername {
		own = r.users[a.Client.Username]
	}
	if found := own.match(a.Client, a.Topic); found&(need|deny) != 0 {
		return found&deny == 0
	}
	if r.patterns == nil || dangerous(a.Client) {
		return false
	}
	found := r.patterns.match(a.Client, a.Topic)
	return found&need != 0 && found&deny == 0
}

// Explain decides as Authorize does, only slower, and says which rule did. If several
// agree it is the first one of the file.
func (r *Rules) Explain(a broker.Access) (allow bool, rule Rule) {
	need, limited := needed(a.Action)
	if !limited {
		return true, reason("an ACL file does not limit subscriptions: each message is checked at its delivery")
	}
	c, name := a.Client, string(a.Topic)
	own := r.file.anonymous
	if c.HasUsername {
		own = r.file.users[c.Username]
	}
	if allow, rule, decided := decide(own, need, func(r Rule) bool { return topic.Match(r.filter, name) }); decided {
		return allow, rule
	}
	if len(r.file.patterns) > 0 && dangerous(c) {
		return false, reason("no pattern grants anything to a client with + or # in its user name or client id")
	}
	if allow, rule, decided := decide(r.file.patterns, need, func(r Rule) bool { return matchPattern(r, c, name) }); decided {
		return allow, rule
	}
	return false, reason("no rule grants it")
}

func reason(text string) Rule { return Rule{Text: text} }

// decide goes through rules as they are written: first those that deny, then the others.
func decide(rules []Rule, need access, match func(Rule) bool) (allow bool, rule Rule, decided bool) {
	for _, bit := range [...]access{deny, need} {
		for _, r := range rules {
			if r.access&bit != 0 && match(r) {
				return bit == need, r, true
			}
		}
	}
	return false, Rule{}, false
}

// matchPattern compares a name with the filter that a pattern is for this client.
func matchPattern(r Rule, c *broker.Client, name string) bool {
	for _, mark := range [...]string{userMark, clientMark} {
		if !strings.Contains(r.filter, mark) {
			continue
		}
		v := value(mark, c)
		if v == "" || strings.Contains(v, "/") && r.access != deny {
			return false
		}
	}
	if strings.HasPrefix(name, "$") && !strings.HasPrefix(r.filter, "$") {
		return false
	}
	return topic.Match(strings.NewReplacer(userMark, c.Username, clientMark, c.ID).Replace(r.filter), name)
}
