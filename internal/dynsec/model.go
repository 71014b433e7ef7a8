package dynsec

import (
	"cmp"
	"slices"
	"strings"

	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/auth"
)

// content is what a file says. Its owner guards it.
type content struct {
	clients     map[string]*client
	groups      map[string]*group
	roles       map[string]*role
	anonymous   *group // nil: none
	defaults    [numDefaults]bool
	changeIndex int64
	// triples says that hashes are written as Mosquitto 2.0 reads them: password, salt and iterations.
	triples bool
}

func newContent() *content {
	return &content{clients: map[string]*client{}, groups: map[string]*group{}, roles: map[string]*role{}}
}

type client struct {
	username    string
	clientID    string // empty: any
	name        *string
	description *string
	disabled    bool
	hash        *auth.Hash // nil: nobody can log in
	triple      bool       // hash is written as a triple
	roles       []grant    // in the order in which they decide
	groups      []membership
	unreadable  string // an encoded password that nobody here can read; written as it was
}

// A group has clients.
type group struct {
	groupname   string
	name        *string
	description *string
	roles       []grant
	clients     map[string]*client
}

type role struct {
	rolename    string
	name        *string
	description *string
	wildcards   bool // filters with wildcards may be subscribed to
	acls        [numTypes][]entry

	// Who has it.
	clients map[*client]struct{}
	groups  map[*group]struct{}
	// rules are what its ACLs compile to.
	rules []*acl.Rule
}

// An entry is one ACL of a role. Those of one type have different topics, and are in the order in which they decide.
type entry struct {
	topic    string
	priority int
	allow    bool
}

// A grant is a role that a client or a group has.
type grant struct {
	*role
	priority int
}

// A membership is a group that a client is in.
type membership struct {
	*group
	priority int
}

// noPriority is the priority of a role or group for which none is given. It is not written.
const noPriority = -1

// addGrant adds a role in its order: by priority, then by name. It reports false if it is there.
func addGrant(grants []grant, r *role, priority int) ([]grant, bool) {
	if hasRole(grants, r) {
		return grants, false
	}
	at, _ := slices.BinarySearchFunc(grants, grant{r, priority}, func(a, b grant) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), strings.Compare(a.rolename, b.rolename))
	})
	return slices.Insert(grants, at, grant{r, priority}), true
}

func hasRole(grants []grant, r *role) bool {
	return slices.ContainsFunc(grants, func(g grant) bool { return g.role == r })
}

func removeGrant(grants []grant, r *role) []grant {
	return slices.DeleteFunc(grants, func(g grant) bool { return g.role == r })
}

// grantTo gives a client a role, and reports false if it has it.
func (r *role) grantTo(c *client, priority int) (ok bool) {
	if c.roles, ok = addGrant(c.roles, r, priority); ok {
		r.clients[c] = struct{}{}
	}
	return ok
}

func (r *role) takeFrom(c *client) {
	c.roles = removeGrant(c.roles, r)
	delete(r.clients, c)
}

// grantToGroup gives a group a role, and reports false if it has it.
func (r *role) grantToGroup(g *group, priority int) (ok bool) {
	if g.roles, ok = addGrant(g.roles, r, priority); ok {
		r.groups[g] = struct{}{}
	}
	return ok
}

func (r *role) takeFromGroup(g *group) {
	g.roles = removeGrant(g.roles, r)
	delete(r.groups, g)
}

// setRoles replaces the roles of a client.
func (c *client) setRoles(grants []grant) {
	for _, g := range slices.Clone(c.roles) {
		g.takeFrom(c)
	}
	for _, g := range grants {
		g.grantTo(c, g.priority)
	}
}

// setRoles replaces the roles of a group.
func (g *group) setRoles(grants []grant) {
	for _, old := range slices.Clone(g.roles) {
		old.takeFromGroup(g)
	}
	for _, n := range grants {
		n.grantToGroup(g, n.priority)
	}
}

// add makes a client a member, and reports false if it is one.
func (g *group) add(c *client, priority int) bool {
	if g.clients[c.username] != nil {
		return false
	}
	g.clients[c.username] = c
	at, _ := slices.BinarySearchFunc(c.groups, membership{g, priority}, func(a, b membership) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), strings.Compare(a.groupname, b.groupname))
	})
	c.groups = slices.Insert(c.groups, at, membership{g, priority})
	return true
}

func (g *group) remove(c *client) {
	delete(g.clients, c.username)
	c.groups = slices.DeleteFunc(c.groups, func(m membership) bool { return m.group == g })
}

func (g *group) removeAll() {
	for _, c := range g.clients {
		g.remove(c)
	}
}

// priorityOf returns the priority that the group has for a member.
func (g *group) priorityOf(c *client) int {
	for _, m := range c.groups {
		if m.group == g {
			return m.priority
		}
	}
	return noPriority
}

func newGroup(groupname string) *group {
	return &group{groupname: groupname, clients: map[string]*client{}}
}

func newRole(rolename string) *role {
	return &role{rolename: rolename, wildcards: true, clients: map[*client]struct{}{}, groups: map[*group]struct{}{}}
}

// addEntry adds an ACL in its order, behind those of the same priority. It reports false if there is one for the topic.
func (r *role) addEntry(t aclType, e entry) bool {
	if r.entry(t, e.topic) >= 0 {
		return false
	}
	at, _ := slices.BinarySearchFunc(r.acls[t], e, func(a, b entry) int {
		if a.priority >= b.priority {
			return -1
		}
		return 1
	})
	r.acls[t] = slices.Insert(r.acls[t], at, e)
	return true
}

// entry returns the place of the ACL for a topic, or -1.
func (r *role) entry(t aclType, topic string) int {
	return slices.IndexFunc(r.acls[t], func(e entry) bool { return e.topic == topic })
}

// removeEntry removes the ACL for a topic, and reports false if there is none.
func (r *role) removeEntry(t aclType, topic string) bool {
	at := r.entry(t, topic)
	if at < 0 {
		return false
	}
	r.acls[t] = slices.Delete(r.acls[t], at, at+1)
	return true
}

// deleteClient removes a client from all that knows it.
func (s *content) deleteClient(c *client) {
	c.setRoles(nil)
	for _, m := range slices.Clone(c.groups) {
		m.remove(c)
	}
	delete(s.clients, c.username)
}

func (s *content) deleteGroup(g *group) {
	g.setRoles(nil)
	g.removeAll()
	delete(s.groups, g.groupname)
}

func (s *content) deleteRole(r *role) {
	for c := range r.clients {
		r.takeFrom(c)
	}
	for g := range r.groups {
		r.takeFromGroup(g)
	}
	delete(s.roles, r.rolename)
}

// sortedKeys returns the names of a map in their order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
