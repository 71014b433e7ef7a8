package dynsec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/auth"
)

// loader reads a file. What Mosquitto passes over in silence gives a warning here; what would make its plugin refuse the file is an error.
type loader struct {
	path     string
	content  *content
	warnings []mistake.Warning
	mistakes mistake.Errors
	encoded  bool // some hash is in the format of 2.1
}

// load reads the content of a file. The error is a mistake.Errors.
func load(path string, data []byte) (*content, []mistake.Warning, error) {
	l := &loader{path: path, content: newContent()}
	if len(data) == 0 { // Mosquitto takes it for one without anything
		return l.content, []mistake.Warning{{File: path, Msg: "the file is empty: nobody can log in"}}, nil
	}
	tree, err := parse(data, true)
	if err != nil {
		line := 0
		if s, ok := errors.AsType[*syntaxError](err); ok {
			line, err = s.line, s.err
		}
		return nil, nil, mistake.Errors{{File: path, Line: line, Msg: "expected JSON: " + err.Error()}}
	}
	if tree.kind != object {
		return nil, nil, mistake.Errors{{File: path, Line: tree.line, Msg: "expected an object with clients, groups and roles"}}
	}
	l.general(tree)
	l.each(tree, "roles", l.role)
	l.each(tree, "clients", l.client)
	l.each(tree, "groups", l.group)
	if name, ok := tree.str("anonymousGroup"); ok {
		if l.content.anonymous = l.content.groups[name]; l.content.anonymous == nil && name != "" {
			l.warn(tree.get("anonymousGroup"), "ignored: there is no group %q", name)
		}
	}
	l.content.triples = l.content.triples && !l.encoded
	if len(l.mistakes) > 0 {
		return nil, nil, l.mistakes
	}
	return l.content, l.warnings, nil
}

func (l *loader) warn(v *value, format string, args ...any) {
	l.warnings = append(l.warnings, mistake.Warning{File: l.path, Line: v.line, Msg: fmt.Sprintf(format, args...)})
}

func (l *loader) wrong(v *value, format string, args ...any) {
	l.mistakes = append(l.mistakes, &mistake.Error{File: l.path, Line: v.line, Msg: fmt.Sprintf(format, args...)})
}

// each calls fn for the objects of a list.
func (l *loader) each(v *value, name string, fn func(*value)) {
	list := v.get(name)
	switch {
	case list == nil:
	case list.kind != array:
		l.wrong(list, "%s: expected a list", name)
	default:
		for _, item := range list.items {
			if item.kind != object {
				l.warn(item, "ignored: expected an object in %s", name)
				continue
			}
			fn(item)
		}
	}
}

func (l *loader) general(tree *value) {
	if m := tree.get("changeIndex"); m != nil && m.kind == number {
		l.content.changeIndex = int64(m.number)
	}
	defaults := tree.get("defaultACLAccess")
	if defaults == nil || defaults.kind != object {
		return
	}
	for i := range accesses {
		on, ok := defaults.flag(accesses[i].name, false)
		if !ok {
			l.warn(defaults, "defaultACLAccess: expected true or false for %s; it is denied", accesses[i].name)
		}
		l.content.defaults[i] = on
	}
}

// name returns the name of an object, and reports false with a warning if it has none that can be used.
func (l *loader) name(v *value, key string, known func(string) bool) (string, bool) {
	name, ok := v.str(key)
	switch {
	case !ok || name == "":
		l.warn(v, "ignored: expected a %s", key)
	case known(name):
		l.warn(v, "ignored: %s %q is there already", key, name)
	default:
		return name, true
	}
	return "", false
}

// texts reads textname and textdescription.
func (l *loader) texts(v *value) (name, description *string) {
	name, _ = v.optional("textname")
	description, _ = v.optional("textdescription")
	return name, description
}

func (l *loader) role(v *value) {
	rolename, ok := l.name(v, "rolename", func(n string) bool { return l.content.roles[n] != nil })
	if !ok {
		return
	}
	r := newRole(rolename)
	r.name, r.description = l.texts(v)
	r.wildcards, _ = v.flag("allowwildcardsubs", true)
	l.each(v, "acls", func(item *value) {
		t, e, err := readEntry(item)
		if err == nil && !r.addEntry(t, e) {
			err = fmt.Errorf("there is one of %s for %q already", types[t].name, e.topic)
		}
		if err != nil {
			l.warn(item, "role %q: ACL ignored: %v", rolename, err)
			return
		}
		if _, err := acl.ParseRoleFilter(e.topic, types[t].match); err != nil {
			what := "it grants nothing"
			if !e.allow {
				what = "it denies everything of its type"
			}
			l.warn(item, "role %q: %s of %q: %v; %s", rolename, types[t].name, e.topic, err, what)
		}
	})
	l.content.roles[rolename] = r
}

// readEntry reads an ACL of a list of them.
func readEntry(v *value) (t aclType, e entry, err error) {
	name, _ := v.str("acltype")
	t, ok := parseType(name)
	if !ok {
		return t, e, fmt.Errorf("expected an acltype, not %q", name)
	}
	if e.topic, _ = v.str("topic"); e.topic == "" {
		return t, e, errors.New("expected a topic")
	}
	e.priority = v.priority(0)
	e.allow, _ = v.flag("allow", false)
	return t, e, nil
}

// grants reads the roles of a client or group.
func (l *loader) grants(v *value, what string, give func(*role, int) bool) {
	l.each(v, "roles", func(item *value) {
		name, _ := item.str("rolename")
		switch r := l.content.roles[name]; {
		case r == nil:
			l.warn(item, "%s: role ignored: there is no role %q", what, name)
		case !give(r, item.priority(noPriority)):
			l.warn(item, "%s: role ignored: %q is there already", what, name)
		}
	})
}

func (l *loader) client(v *value) {
	username, ok := l.name(v, "username", func(n string) bool { return l.content.clients[n] != nil })
	if !ok {
		return
	}
	c := &client{username: username}
	c.name, c.description = l.texts(v)
	c.disabled, _ = v.flag("disabled", false)
	c.clientID, _ = v.str("clientid")
	l.password(v, c)
	l.grants(v, fmt.Sprintf("client %q", username), func(r *role, priority int) bool { return r.grantTo(c, priority) })
	l.content.clients[username] = c
}

// password reads the hash of a client, in one of its two formats.
func (l *loader) password(v *value, c *client) {
	encoded, isEncoded := v.str("encoded_password")
	password, hasPassword := v.str("password")
	salt, hasSalt := v.str("salt")
	iterations := v.integer("iterations", 0)
	if !isEncoded {
		if !hasPassword || !hasSalt || iterations <= 0 {
			return // nobody can log in as this client yet
		}
		encoded, c.triple, l.content.triples = fmt.Sprintf("$7$%d$%s$%s", iterations, salt, password), true, true
	}
	l.encoded = l.encoded || isEncoded
	var err error
	if c.hash, err = auth.ParseHash(encoded); err != nil {
		l.warn(v, "client %q: nobody can log in: %v", c.username, err)
		if isEncoded && strings.HasPrefix(encoded, "$") {
			c.unreadable = encoded
		}
	}
}

func (l *loader) group(v *value) {
	groupname, ok := l.name(v, "groupname", func(n string) bool { return l.content.groups[n] != nil })
	if !ok {
		return
	}
	g := newGroup(groupname)
	g.name, g.description = l.texts(v)
	what := fmt.Sprintf("group %q", groupname)
	l.grants(v, what, func(r *role, priority int) bool { return r.grantToGroup(g, priority) })
	l.each(v, "clients", func(item *value) {
		name, _ := item.str("username")
		switch c := l.content.clients[name]; {
		case c == nil:
			l.warn(item, "%s: client ignored: there is no client %q", what, name)
		case !g.add(c, item.priority(noPriority)):
			l.warn(item, "%s: client ignored: %q is there already", what, name)
		}
	})
	l.content.groups[groupname] = g
}
