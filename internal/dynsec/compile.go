package dynsec

import (
	"fmt"
	"slices"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/acl"
)

// The texts of rules that no role has.
const (
	unknownText = "the file has no such client, so there is nothing that it may do"
	barredText  = "the client is disabled, or has another client id"
	controlText = "$CONTROL must be granted by a role, whatever defaultACLAccess says"
)

// compile makes the rules of the content as it is, from those of its roles. s.mu is held.
func (s *Security) compile() *acl.Rules {
	allow := acl.ActionsOf(broker.ActionConnect)
	defaults := s.content.defaults
	for i, on := range defaults {
		if on {
			allow |= accesses[i].actions
		}
	}
	return acl.Model{
		Name: s.options.Path, Allow: allow, Assign: s.assign,
		Default: func(a broker.Action) string {
			i, ok := accessOf(a)
			if !ok {
				return ""
			}
			return fmt.Sprintf("%s:defaultACLAccess: %s %s", s.options.Path, accesses[i].name, word(defaults[i]))
		},
	}.Compile()
}

// word returns the word that mosquitto_ctrl has for it.
func word(allow bool) string {
	if allow {
		return "allow"
	}
	return "deny"
}

// rulesOf makes the rules of a role, in the order in which they decide. Those about messages, subscribing and unsubscribing do not meet, so that only the
// order within each of these counts.
func (s *Security) rulesOf(r *role) []*acl.Rule {
	var rules []*acl.Rule
	if !r.wildcards {
		rules = append(rules, s.newRule(acl.Rule{
			Role: r.rolename, Text: "allowwildcardsubs false", Actions: types[subscribePattern].actions, Topics: []acl.Filter{acl.AnyWild()},
		}))
	}
	for t := range types {
		for _, e := range r.acls[t] {
			rule := acl.Rule{Role: r.rolename, Text: e.String(aclType(t)), Allow: e.allow, Actions: types[t].actions, Priority: e.priority}
			f, err := acl.ParseRoleFilter(e.topic, types[t].match)
			switch {
			case err == nil:
				rule.Topics = []acl.Filter{f}
			case e.allow: // of nothing: see warn
				continue
			}
			rules = append(rules, s.newRule(rule))
		}
	}
	return rules
}

// String writes an ACL as mosquitto_ctrl does.
func (e *entry) String(t aclType) string {
	return fmt.Sprintf("%s %s %s (priority %d)", types[t].name, word(e.allow), e.topic, e.priority)
}

// newRule completes a rule. s.mu is held.
func (s *Security) newRule(r acl.Rule) *acl.Rule {
	s.lastID++
	r.ID, r.File = s.lastID, s.options.Path
	return &r
}

// assign returns the rules for a client: those of its roles, then those of its groups, then what holds for all.
func (s *Security) assign(c *broker.Client) []*acl.Rule {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var rules []*acl.Rule
	add := func(grants []grant) {
		for _, g := range grants {
			rules = append(rules, g.rules...)
		}
	}
	switch own := s.content.clients[c.Username]; {
	case !c.HasUsername:
		if s.content.anonymous != nil {
			add(s.content.anonymous.roles)
		}
	case own == nil:
		return []*acl.Rule{s.unknown}
	default:
		if own.bars(c) != "" {
			rules = append(rules, s.barred)
		}
		add(own.roles)
		for _, m := range own.groups {
			add(m.roles)
		}
	}
	return append(rules, s.control)
}

// fixedRules makes the rules that no role has.
func (s *Security) fixedRules() {
	all := types[publishClientSend].actions | types[publishClientReceive].actions | types[subscribePattern].actions | types[unsubscribePattern].actions
	s.unknown = s.newRule(acl.Rule{Text: unknownText, Actions: all})
	s.barred = s.newRule(acl.Rule{Text: barredText, Actions: acl.ActionsOf(broker.ActionConnect)})
	f, err := acl.ParseFilter("$CONTROL/#", acl.Overlaps)
	if err != nil {
		panic("dynsec: " + err.Error())
	}
	s.control = s.newRule(acl.Rule{Text: controlText, Actions: all, Topics: []acl.Filter{f}})
}

// attributes returns the names of roles and groups of a client, for conditions of other rules.
func (c *client) attributes() map[string][]string {
	a := map[string][]string{}
	addRoles := func(grants []grant) {
		for _, g := range grants {
			if !slices.Contains(a[broker.AttributeRole], g.rolename) {
				a[broker.AttributeRole] = append(a[broker.AttributeRole], g.rolename)
			}
		}
	}
	addRoles(c.roles)
	for _, m := range c.groups {
		a[broker.AttributeGroup] = append(a[broker.AttributeGroup], m.groupname)
		addRoles(m.roles)
	}
	return a
}
