package acl

import (
	"sync/atomic"

	"github.com/uniomq/unio/broker"
)

// Options configure an Authorizer. A client may do what all Rules of its listener allow; without
// any, broker.WithoutRules decides.
type Options struct {
	Rules     []*Rules            // of listeners that are not in Listeners
	Listeners map[string][]*Rules // by broker.ListenerOptions.Name, for per_listener_settings
}

// An Authorizer decides by the rules of the client's listener. That only the broker
// publishes below $SYS is not among them: the broker sees to that before it asks. Set may
// be called at any time.
type Authorizer struct {
	options atomic.Pointer[inForce]
}

var _ broker.Authorizer = (*Authorizer)(nil)

// New returns an Authorizer with these options.
func New(o Options) *Authorizer {
	a := &Authorizer{}
	a.Set(o)
	return a
}

// Set replaces the options as a whole. They hold from the next message on, for clients
// that are connected and for messages that wait for their delivery, too.
func (a *Authorizer) Set(o Options) { a.options.Store(&inForce{Options: o}) }

// inForce are the options since the last Set.
type inForce struct {
	Options
	none rights // of every client without rules
}

func (o *inForce) rules(listener string) []*Rules {
	if len(o.Listeners) > 0 {
		if r, ok := o.Listeners[listener]; ok {
			return r
		}
	}
	return o.Rules
}

// rights are what was worked out about a client. They are kept in broker.Client.Rights, and hold as long as the options do.
type rights struct {
	self    any // a *rights, so that Rights can point here
	options *inForce
	sets    []set
	one     [1]set // room for the usual case
}

// A set is the part of some Rules that is left for a client.
type set struct {
	rules *Rules
	facts *facts
	view  *view
}

func (r *Rules) setOf(c *broker.Client) set {
	f := newFacts(c, r.model.Groups)
	return set{rules: r, facts: f, view: r.viewOf(f)}
}

func (a *Authorizer) rightsOf(c *broker.Client) *rights {
	o := a.options.Load()
	if p := c.Rights.Load(); p != nil {
		if r, ok := (*p).(*rights); ok && r.options == o {
			return r
		}
	}
	all := o.rules(c.Listener)
	if len(all) == 0 {
		return &o.none
	}
	r := &rights{options: o}
	r.sets = r.one[:0]
	for _, rules := range all {
		r.sets = append(r.sets, rules.setOf(c))
	}
	r.self = r
	c.Rights.Store(&r.self)
	return r
}

// Authorize reports whether the client may do that.
func (a *Authorizer) Authorize(q broker.Access) bool {
	r := a.rightsOf(q.Client)
	if len(r.sets) == 0 {
		return broker.WithoutRules(q)
	}
	for i := range r.sets {
		if allow, _ := r.sets[i].decide(&q); !allow {
			return false
		}
	}
	return true
}

// Authorize decides by these rules alone, and keeps nothing of the client.
func (r *Rules) Authorize(q broker.Access) bool {
	s := r.setOf(q.Client)
	allow, _ := s.decide(&q)
	return allow
}

// decide returns the answer and the rule that gives it; nil: none does.
func (s *set) decide(q *broker.Access) (allow bool, rule *Rule) {
	allow, rule = s.decideAction(q)
	if q.Source && !allow && q.Action == broker.ActionPublish {
		will := *q // which is what it may have been
		will.Action = broker.ActionWill
		if allow, by := s.decideAction(&will); allow {
			return true, by
		}
	}
	return allow, rule
}

func (s *set) decideAction(q *broker.Access) (allow bool, rule *Rule) {
	if rule = s.view.decide(s.facts, q); rule != nil {
		return rule.Allow, rule
	}
	return q.Alias || q.Spelled == 0 && s.rules.model.Allow.has(q.Action) && broker.WithoutRules(*q), nil
}
