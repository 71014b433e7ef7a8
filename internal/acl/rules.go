package acl

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
	"weak"

	"github.com/uniomq/unio/broker"
)

// A Model is rules with what they need to decide. It is what the readers of files make.
type Model struct {
	Name  string // of the file, for explanations
	Rules []*Rule
	// DenyWins makes denials go before grants of the same priority. Otherwise the first rule that matches decides, by priority and then in the
	// order of Rules.
	DenyWins bool
	// Allow has the actions that are allowed when no rule decides.
	Allow Actions
	// Groups are those that the rules define.
	Groups []Group
	// Assign, if there is one, chooses the rules for a client, by ID, Username and Attributes, in the order in which they are to decide.
	// Order, priority and DenyWins have no effect then, and Rules may be empty. The IDs of rules tell them apart: for as long as these Rules
	// are in use, one stands for one rule. It is called once for each client that connects, from many goroutines.
	Assign func(*broker.Client) []*Rule
	// Default says why an action is allowed, or not, when no rule decides. Nil: in general words.
	Default func(broker.Action) string
}

// Rules are those of a Model, ready for use by any number of goroutines.
type Rules struct {
	model  Model
	sorted []*Rule // in the order in which they decide

	// By what a rule asks of the user name or client id, if it names it. The places are ascending.
	byUser    map[string][]int32
	byClient  map[string][]int32
	anonymous []int32
	rest      []int32

	classes sync.Map // user name to *class, of those in byUser
	others  *class   // of clients with any other user name
	nobody  *class   // of clients without one
	chosen  views    // by Assign, or together with byClient
}

// A class has the clients with one user name. If the rules ask for nothing else of a client, it has one view.
type class struct {
	places []int32
	view   func() *view // nil: it depends on more than the user name
}

// Compile makes the rules ready. The Model, with its rules, must not be changed any more.
func (m Model) Compile() *Rules {
	r := &Rules{model: m, sorted: slices.Clone(m.Rules), byUser: map[string][]int32{}, byClient: map[string][]int32{}}
	slices.SortStableFunc(r.sorted, func(a, b *Rule) int {
		c := cmp.Compare(b.Priority, a.Priority)
		if c == 0 && m.DenyWins && a.Allow != b.Allow {
			if a.Allow {
				return 1
			}
			return -1
		}
		return c
	})
	for i, rule := range r.sorted {
		r.index(rule, int32(i))
	}
	r.others, r.nobody = r.newClass(r.rest), r.newClass(merge(r.anonymous, r.rest))
	return r
}

// index notes for whom a rule may be.
func (r *Rules) index(rule *Rule, place int32) {
	for i := range rule.clients {
		switch c := &rule.conditions[i]; {
		case c.key.id == keyAnonymous && c.on != c.negate:
			r.anonymous = append(r.anonymous, place)
			return
		case c.key.id == keyUser && c.names() != nil:
			for _, name := range c.names() {
				r.byUser[name] = append(r.byUser[name], place)
			}
			return
		}
	}
	for i := range rule.clients {
		if c := &rule.conditions[i]; c.key.id == keyClient && c.names() != nil {
			for _, name := range c.names() {
				r.byClient[name] = append(r.byClient[name], place)
			}
			return
		}
	}
	r.rest = append(r.rest, place)
}

// names returns the texts that alone fulfil the condition, each once; nil if there are others.
func (c *condition) names() []string {
	if c.negate {
		return nil
	}
	names := make([]string, 0, len(c.globs))
	for _, g := range c.globs {
		name, exact := g.exact()
		if !exact {
			return nil
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// newClass returns a class, with its view if the rules ask for no more than what makes it.
func (r *Rules) newClass(places []int32) *class {
	c := &class{places: places}
	if !slices.ContainsFunc(places, func(p int32) bool { return !r.sorted[p].byUserOnly() }) {
		c.view = sync.OnceValue(func() *view { return newView(r.at(places)) })
	}
	return c
}

// byUserOnly reports whether the rule asks for nothing of a client but what index goes by.
func (r *Rule) byUserOnly() bool {
	if r.clients == 0 {
		return true
	}
	c := &r.conditions[0]
	return r.clients == 1 && (c.key.id == keyAnonymous && c.on != c.negate || c.key.id == keyUser && c.names() != nil)
}

func (r *Rules) at(places []int32) []*Rule {
	rules := make([]*Rule, len(places))
	for i, p := range places {
		rules[i] = r.sorted[p]
	}
	return rules
}

// classOf returns the class of a client.
func (r *Rules) classOf(c *broker.Client) *class {
	if !c.HasUsername {
		return r.nobody
	}
	own, named := r.byUser[c.Username]
	if !named {
		return r.others
	}
	if cl, ok := r.classes.Load(c.Username); ok {
		return cl.(*class)
	}
	cl, _ := r.classes.LoadOrStore(c.Username, r.newClass(merge(own, r.rest)))
	return cl.(*class)
}

// candidates returns the rules that may be for a client, in the order in which they decide.
func (r *Rules) candidates(c *broker.Client) []*Rule {
	if r.model.Assign != nil {
		return r.model.Assign(c)
	}
	return r.at(merge(r.classOf(c).places, r.byClient[c.ID]))
}

// viewOf returns the rules that are left for a client.
func (r *Rules) viewOf(f *facts) *view {
	if r.model.Assign == nil {
		if c := r.classOf(f.client); c.view != nil && len(r.byClient[f.client.ID]) == 0 {
			return c.view()
		}
	}
	var left []*Rule
	for _, rule := range r.candidates(f.client) {
		if rule.concerns(f) {
			left = append(left, rule)
		}
	}
	return r.chosen.get(left)
}

// merge returns ascending places in one ascending list.
func merge(a, b []int32) []int32 {
	if len(a) == 0 || len(b) == 0 {
		return append(slices.Clip(a), b...)
	}
	m := append(slices.Clone(a), b...)
	slices.Sort(m)
	return m
}

// views finds the view of a list of rules again while some client uses it.
type views struct {
	mu    sync.Mutex
	byKey map[string]weak.Pointer[view]
	limit int // of byKey, before those that nobody uses are searched
}

// fewViews is how many views are kept in mind before the first search for unused ones.
const fewViews = 64

func (vs *views) get(rules []*Rule) *view {
	key := make([]byte, 0, 4*len(rules))
	for _, r := range rules {
		key = binary.LittleEndian.AppendUint32(key, r.ID)
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v := vs.byKey[string(key)].Value(); v != nil {
		return v
	}
	if vs.byKey == nil {
		vs.byKey, vs.limit = map[string]weak.Pointer[view]{}, fewViews
	}
	if len(vs.byKey) >= vs.limit {
		for k, p := range vs.byKey {
			if p.Value() == nil {
				delete(vs.byKey, k)
			}
		}
		vs.limit = max(fewViews, 2*len(vs.byKey))
	}
	v := newView(rules)
	vs.byKey[string(key)] = weak.Make(v)
	return v
}
