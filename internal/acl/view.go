package acl

import (
	"github.com/uniomq/unio/broker"
)

// A view is the rules that may apply to a client, in the order in which they decide, with an index. What the rules say of the client itself was decided
// when it was made; clients for which the same rules are left have the same one. It does not change.
type view struct {
	rules   []*Rule
	root    *node   // of the rules about messages that have filters
	any     []int32 // the places of rules about messages that have none
	filters []int32 // of rules about subscriptions
	connect []int32
}

func newView(rules []*Rule) *view {
	v := &view{rules: rules}
	for i, r := range rules {
		place := int32(i)
		if r.Actions&messages != 0 {
			if len(r.Topics) == 0 {
				v.any = append(v.any, place)
			} else if v.root == nil {
				v.root = newNode(place)
			}
			for j := range r.Topics {
				v.root.add(&r.Topics[j], place)
			}
		}
		if r.Actions&filters != 0 {
			v.filters = append(v.filters, place)
		}
		if r.Actions.has(broker.ActionConnect) {
			v.connect = append(v.connect, place)
		}
	}
	return v
}

// decide returns the rule that decides; nil: none.
func (v *view) decide(f *facts, q *broker.Access) *Rule {
	var place int32
	switch q.Action {
	case broker.ActionSubscribe, broker.ActionUnsubscribe:
		place = v.decideFilter(f, q)
	case broker.ActionConnect:
		place = first(v.rules, v.connect, f, q)
	default:
		s := search{rules: v.rules, facts: f, q: q, name: q.Topic, best: first(v.rules, v.any, f, q)}
		s.run(v.root)
		place = s.best
	}
	if place == nothing {
		return nil
	}
	return v.rules[place]
}

// first returns the first place whose rule decides.
func first(rules []*Rule, places []int32, f *facts, q *broker.Access) int32 {
	for _, place := range places {
		if rules[place].decides(f, q) {
			return place
		}
	}
	return nothing
}

// decideFilter is decide for a subscription, which is rare and may allocate.
func (v *view) decideFilter(f *facts, q *broker.Access) int32 {
	asked := string(q.Topic)
	for _, place := range v.filters {
		if r := v.rules[place]; r.decides(f, q) && r.matchesFilter(f, asked, q.Share) {
			return place
		}
	}
	return nothing
}

// matchesFilter reports whether the rule is about a subscription to this filter.
func (r *Rule) matchesFilter(f *facts, asked, share string) bool {
	for i := range r.Topics {
		if r.Topics[i].matchesFilter(f, asked, share, r.Allow) {
			return true
		}
	}
	return len(r.Topics) == 0
}

// matchesTopic reports whether the rule is about the topic of a question, whatever its conditions say.
func (r *Rule) matchesTopic(f *facts, q *broker.Access) bool {
	if len(r.Topics) == 0 {
		return true
	}
	if filters.has(q.Action) {
		return r.matchesFilter(f, string(q.Topic), q.Share)
	}
	s := search{rules: []*Rule{r}, facts: f, q: q, name: q.Topic, best: nothing, blind: true}
	root := newNode(0)
	for i := range r.Topics {
		root.add(&r.Topics[i], 0)
	}
	s.run(root)
	return s.best != nothing
}

// decides reports whether the rule is about the action and its conditions on the single question hold.
func (r *Rule) decides(f *facts, q *broker.Access) bool {
	if !r.Actions.has(q.Action) || r.plain && f.wild {
		return false
	}
	for i := r.clients; i < len(r.conditions); i++ {
		if !r.conditions[i].met(r, f, q) {
			return false
		}
	}
	return true
}

// concerns reports whether the conditions about the client hold.
func (r *Rule) concerns(f *facts) bool {
	for i := range r.clients {
		if !r.conditions[i].met(r, f, nil) {
			return false
		}
	}
	return true
}
