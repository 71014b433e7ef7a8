package dynsec

import (
	"github.com/uniomq/unio/internal/acl"
)

// The errors of commands on roles alone.
const (
	badRolename = "Invalid/missing rolename"
	badTopic    = "Invalid ACL topic"
)

// rolename returns the one of a command.
func rolename(v *value) (name, fail string) {
	name, ok := v.str("rolename")
	switch {
	case !ok:
		return "", badRolename
	case !validName(name):
		return "", "Role name not valid UTF-8"
	}
	return name, ""
}

func (r *request) findRole(v *value) (role *role, fail string) {
	name, fail := rolename(v)
	if fail != "" {
		return nil, fail
	}
	if role = r.content.roles[name]; role == nil {
		return nil, noRole
	}
	return role, ""
}

// entries reads the ACLs of a command into a role that nobody uses yet. As in Mosquitto those without type or topic are passed over, and those whose
// topic is there already; unlike there, a topic that is no filter is an error: it would match nothing.
func entries(v *value, to *role) (given bool, fail string) {
	items, given := v.list("acls")
	for _, item := range items {
		t, e, err := readEntry(item)
		if err != nil {
			continue
		}
		if _, err := acl.ParseRoleFilter(e.topic, types[t].match); err != nil || !validName(e.topic) {
			return given, badTopic
		}
		to.addEntry(t, e)
	}
	return given, ""
}

func (r *request) createRole(v *value) (any, string) {
	name, fail := rolename(v)
	switch {
	case fail != "":
		return nil, fail
	case name == "":
		return nil, "Empty rolename"
	}
	role := newRole(name)
	if role.name, role.description, fail = texts(v); fail != "" {
		return nil, fail
	}
	var ok bool
	if role.wildcards, ok = v.flag("allowwildcardsubs", true); !ok {
		return nil, "Invalid allowwildcardsubs"
	}
	if r.content.roles[name] != nil {
		return nil, "Role already exists"
	}
	if _, fail := entries(v, role); fail != "" {
		return nil, fail
	}
	role.rules = r.rulesOf(role)
	r.content.roles[name] = role
	r.touch()
	r.log("createRole", "rolename", name)
	return nil, ""
}

func (r *request) deleteRole(v *value) (any, string) {
	role, fail := r.findRole(v)
	if fail != "" {
		return nil, fail
	}
	r.kickRole(role)
	r.content.deleteRole(role)
	r.touch()
	r.log("deleteRole", "rolename", role.rolename)
	return nil, ""
}

// modifyRole replaces what the command has, once all of it is found right.
func (r *request) modifyRole(v *value) (any, string) {
	role, fail := r.findRole(v)
	switch fail {
	case "":
	case noRole:
		return nil, "Role does not exist"
	default:
		return nil, fail
	}
	read := newRole(role.rolename)
	hasACLs, fail := entries(v, read)
	if fail != "" {
		return nil, fail
	}
	setText(&role.name, v, "textname")
	setText(&role.description, v, "textdescription")
	wildcards, ok := v.flag("allowwildcardsubs", role.wildcards)
	if !ok {
		wildcards = role.wildcards
	}
	if hasACLs || wildcards != role.wildcards {
		role.wildcards = wildcards
		if hasACLs {
			role.acls = read.acls
		}
		role.rules = r.rulesOf(role)
		r.kickRole(role)
	}
	r.touch()
	r.log("modifyRole", "rolename", role.rolename)
	return nil, ""
}

// roleAndType returns what a command on an ACL names.
func (r *request) roleAndType(v *value) (role *role, t aclType, topic, fail string) {
	role, fail = r.findRole(v)
	if fail != "" {
		return nil, 0, "", fail
	}
	name, ok := v.str("acltype")
	if !ok {
		return nil, 0, "", "Invalid/missing acltype"
	}
	if t, ok = parseType(name); !ok {
		return nil, 0, "", "Unknown acltype"
	}
	topic, ok = v.str("topic")
	switch {
	case !ok:
		return nil, 0, "", "Invalid/missing topic"
	case !validName(topic):
		return nil, 0, "", "Topic not valid UTF-8"
	}
	return role, t, topic, ""
}

func (r *request) addRoleACL(v *value) (any, string) {
	role, t, topic, fail := r.roleAndType(v)
	if fail != "" {
		return nil, fail
	}
	if _, err := acl.ParseRoleFilter(topic, types[t].match); err != nil {
		return nil, badTopic
	}
	allow, _ := v.flag("allow", false)
	e := entry{topic: topic, priority: v.priority(0), allow: allow}
	if !role.addEntry(t, e) {
		return nil, "ACL with this topic already exists"
	}
	role.rules = r.rulesOf(role)
	r.touch()
	r.kickRole(role)
	r.log("addRoleACL", "rolename", role.rolename, "acltype", types[t].name, "topic", topic, "priority", e.priority, "allow", allow)
	return nil, ""
}

func (r *request) removeRoleACL(v *value) (any, string) {
	role, t, topic, fail := r.roleAndType(v)
	if fail != "" {
		return nil, fail
	}
	if !role.removeEntry(t, topic) { // also of a topic that is no filter, if the file had it
		if _, err := acl.ParseRoleFilter(topic, types[t].match); err != nil {
			return nil, badTopic
		}
		return nil, "ACL not found"
	}
	role.rules = r.rulesOf(role)
	r.touch()
	r.kickRole(role)
	r.log("removeRoleACL", "rolename", role.rolename, "acltype", types[t].name, "topic", topic)
	return nil, ""
}

func (r *request) getRole(v *value) (any, string) {
	role, fail := r.findRole(v)
	if fail != "" {
		return nil, fail
	}
	r.log("getRole", "rolename", role.rolename)
	return struct {
		Role roleJSON `json:"role"`
	}{role.json()}, ""
}

func (r *request) listRoles(v *value) (any, string) {
	p := readPage(v)
	data := struct {
		Total int   `json:"totalCount"`
		Roles []any `json:"roles"`
	}{len(r.content.roles), []any{}}
	for _, name := range p.of(sortedKeys(r.content.roles)) {
		data.Roles = append(data.Roles, p.item(name, func() any { return r.content.roles[name].json() }))
	}
	r.log("listRoles", "verbose", p.verbose, "count", p.count, "offset", p.offset)
	return data, ""
}
