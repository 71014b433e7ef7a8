package dynsec

// The errors of commands on groups alone.
const (
	badGroupname = "Invalid/missing groupname"
)

// groupname returns the one of a command.
func groupname(v *value) (name, fail string) {
	name, ok := v.str("groupname")
	switch {
	case !ok:
		return "", badGroupname
	case !validName(name):
		return "", "Group name not valid UTF-8"
	}
	return name, ""
}

func (r *request) findGroup(v *value) (g *group, fail string) {
	name, fail := groupname(v)
	if fail != "" {
		return nil, fail
	}
	if g = r.content.groups[name]; g == nil {
		return nil, noGroup
	}
	return g, ""
}

func (r *request) createGroup(v *value) (any, string) {
	name, fail := groupname(v)
	switch {
	case fail != "":
		return nil, fail
	case name == "":
		return nil, "Empty groupname"
	}
	g := newGroup(name)
	if g.name, g.description, fail = texts(v); fail != "" {
		return nil, fail
	}
	if r.content.groups[name] != nil {
		return nil, "Group already exists"
	}
	grants, _, fail := r.roleList(v)
	switch fail {
	case "":
	case badRoles:
		return nil, internalError // as in Mosquitto
	default:
		return nil, fail
	}
	r.content.groups[name] = g
	g.setRoles(grants)
	r.touch()
	r.log("createGroup", "groupname", name)
	return nil, ""
}

func (r *request) deleteGroup(v *value) (any, string) {
	g, fail := r.findGroup(v)
	if fail != "" {
		return nil, fail
	}
	if g == r.content.anonymous {
		return nil, "Deleting the anonymous group is forbidden"
	}
	r.kickGroup(g)
	r.content.deleteGroup(g)
	r.touch()
	r.log("deleteGroup", "groupname", g.groupname)
	return nil, ""
}

// modifyGroup replaces what the command has, once all of it is found right.
func (r *request) modifyGroup(v *value) (any, string) {
	g, fail := r.findGroup(v)
	if fail != "" {
		return nil, fail
	}
	grants, hasRoles, fail := r.roleList(v)
	if fail != "" {
		return nil, fail
	}
	items, hasClients := v.list("clients")
	for _, item := range items {
		if item.kind != object {
			continue
		}
		switch name, ok := item.str("username"); {
		case !ok:
			return nil, "'clients' contains an object with an invalid 'username'"
		case r.content.clients[name] == nil:
			return nil, "'clients' contains an object with a 'username' that does not exist"
		}
	}
	r.kickGroup(g) // those who were members
	if hasClients {
		g.removeAll()
		for _, item := range items {
			if name, ok := item.str("username"); ok {
				g.add(r.content.clients[name], item.priority(noPriority))
			}
		}
	}
	setText(&g.name, v, "textname")
	setText(&g.description, v, "textdescription")
	if hasRoles {
		g.setRoles(grants)
	}
	r.touch()
	r.kickGroup(g) // those who are members
	r.log("modifyGroup", "groupname", g.groupname)
	return nil, ""
}

// clientAndGroup returns what a command names.
func (r *request) clientAndGroup(v *value) (c *client, g *group, fail string) {
	if _, fail = username(v); fail != "" {
		return nil, nil, fail
	}
	if _, fail = groupname(v); fail != "" {
		return nil, nil, fail
	}
	if c, fail = r.findClient(v); fail != "" {
		return nil, nil, fail
	}
	g, fail = r.findGroup(v)
	return c, g, fail
}

func (r *request) addGroupClient(v *value) (any, string) {
	c, g, fail := r.clientAndGroup(v)
	if fail != "" {
		return nil, fail
	}
	priority := v.priority(noPriority)
	if !g.add(c, priority) {
		return nil, "Client is already in this group"
	}
	r.touch()
	r.kick(c.username)
	r.log("addGroupClient", "groupname", g.groupname, "username", c.username, "priority", priority)
	return nil, ""
}

func (r *request) removeGroupClient(v *value) (any, string) {
	c, g, fail := r.clientAndGroup(v)
	if fail != "" {
		return nil, fail
	}
	g.remove(c)
	r.touch()
	r.kick(c.username)
	r.log("removeGroupClient", "groupname", g.groupname, "username", c.username)
	return nil, ""
}

// groupAndRole returns what a command names.
func (r *request) groupAndRole(v *value) (g *group, role *role, fail string) {
	if _, fail = groupname(v); fail != "" {
		return nil, nil, fail
	}
	name, fail := rolename(v)
	if fail != "" {
		return nil, nil, fail
	}
	if g, fail = r.findGroup(v); fail != "" {
		return nil, nil, fail
	}
	if role = r.content.roles[name]; role == nil {
		return nil, nil, noRole
	}
	return g, role, ""
}

func (r *request) addGroupRole(v *value) (any, string) {
	g, role, fail := r.groupAndRole(v)
	if fail != "" {
		return nil, fail
	}
	priority := v.priority(noPriority)
	if !role.grantToGroup(g, priority) {
		return nil, "Group is already in this role"
	}
	r.touch()
	r.kickGroup(g)
	r.log("addGroupRole", "groupname", g.groupname, "rolename", role.rolename, "priority", priority)
	return nil, ""
}

func (r *request) removeGroupRole(v *value) (any, string) {
	g, role, fail := r.groupAndRole(v)
	if fail != "" {
		return nil, fail
	}
	role.takeFromGroup(g)
	r.touch()
	r.kickGroup(g)
	r.log("removeGroupRole", "groupname", g.groupname, "rolename", role.rolename)
	return nil, ""
}

// describe returns a group as answers have it: without the priorities that it has for its clients.
func (g *group) describe() groupAnswer {
	j := g.json()
	a := groupAnswer{Groupname: j.Groupname, Name: j.Name, Description: j.Description, Clients: j.Clients, Roles: j.Roles}
	for i := range a.Clients {
		a.Clients[i].Priority = nil
	}
	return a
}

// groupAnswer is groupJSON in the order of answers.
type groupAnswer struct {
	Groupname   string      `json:"groupname"`
	Name        *string     `json:"textname,omitempty"`
	Description *string     `json:"textdescription,omitempty"`
	Clients     []clientRef `json:"clients"`
	Roles       []roleRef   `json:"roles"`
}

func (r *request) getGroup(v *value) (any, string) {
	g, fail := r.findGroup(v)
	if fail != "" {
		return nil, fail
	}
	r.log("getGroup", "groupname", g.groupname)
	return struct {
		Group groupAnswer `json:"group"`
	}{g.describe()}, ""
}

func (r *request) listGroups(v *value) (any, string) {
	p := readPage(v)
	data := struct {
		Total  int   `json:"totalCount"`
		Groups []any `json:"groups"`
	}{len(r.content.groups), []any{}}
	for _, name := range p.of(sortedKeys(r.content.groups)) {
		data.Groups = append(data.Groups, p.item(name, func() any { return r.content.groups[name].describe() }))
	}
	r.log("listGroups", "verbose", p.verbose, "count", p.count, "offset", p.offset)
	return data, ""
}

// setAnonymousGroup chooses the group that clients without user name are in.
func (r *request) setAnonymousGroup(v *value) (any, string) {
	g, fail := r.findGroup(v)
	if fail != "" {
		return nil, fail
	}
	r.content.anonymous = g
	r.touch()
	r.anonymous = true
	r.log("setAnonymousGroup", "groupname", g.groupname)
	return nil, ""
}

func (r *request) getAnonymousGroup(*value) (any, string) {
	var data struct {
		Group struct {
			Groupname string `json:"groupname"`
		} `json:"group"`
	}
	if g := r.content.anonymous; g != nil {
		data.Group.Groupname = g.groupname
	}
	r.log("getAnonymousGroup")
	return data, ""
}
