package dynsec

import (
	"context"
	"net"
	"slices"

	"github.com/uniomq/unio/internal/auth"
)

// The errors of commands on clients, and of what they name.
const (
	badUsername    = "Invalid/missing username"
	badPassword    = "Invalid/missing password"
	badName        = "Invalid/missing textname"
	badDescription = "Invalid/missing textdescription"
	badRoles       = "'roles' not an array or missing/invalid rolename"
	noClient       = "Client not found"
	noGroup        = "Group not found"
	noRole         = "Role not found"
)

// hashed is the hash of a command's password, or why there is none.
type hashed struct {
	*auth.Hash
	err error
}

// hash hashes the passwords of commands, in the format of the file, while nothing is locked: it may wait, for each one, until its
// turn has come.
func (r *request) hash(commands []*value) {
	r.algorithm, r.hashes = r.fileAlgorithm(), map[*value]hashed{}
	for _, v := range commands {
		name, _ := v.str("command")
		if cmd := findCommand(name); cmd == nil || cmd.kind != writesPassword {
			continue
		}
		if password, ok := v.str("password"); ok && password != "" {
			h, err := r.options.Gate.NewHash(context.Background(), r.client, r.algorithm, []byte(password))
			r.hashes[v] = hashed{h, err}
		}
	}
}

// setHash gives a client the password of the command.
func (r *request) setHash(c *client, v *value) (fail string) {
	h := r.hashes[v]
	if h.err != nil {
		r.options.Log.Error("Dynamic security: a password cannot be hashed: " + h.err.Error())
		return internalError
	}
	c.hash, c.triple, c.unreadable = h.Hash, r.content.triples, ""
	return ""
}

// username returns the one of a command.
func username(v *value) (name, fail string) {
	name, ok := v.str("username")
	switch {
	case !ok:
		return "", badUsername
	case !validName(name):
		return "", "Username not valid UTF-8"
	}
	return name, ""
}

// findClient returns the client that a command names.
func (r *request) findClient(v *value) (c *client, fail string) {
	name, fail := username(v)
	if fail != "" {
		return nil, fail
	}
	if c = r.content.clients[name]; c == nil {
		return nil, noClient
	}
	return c, ""
}

// texts returns textname and textdescription of a command that makes something.
func texts(v *value) (name, description *string, fail string) {
	name, ok := v.optional("textname")
	if !ok {
		return nil, nil, badName
	}
	if description, ok = v.optional("textdescription"); !ok {
		return nil, nil, badDescription
	}
	return name, description, ""
}

// setText replaces a text if a command has another one.
func setText(to **string, v *value, name string) {
	if s, ok := v.str(name); ok {
		*to = &s
	}
}

// roleList returns the roles of a command; given is false if it has no list.
func (r *request) roleList(v *value) (grants []grant, given bool, fail string) {
	list := v.get("roles")
	switch {
	case list == nil:
		return nil, false, ""
	case list.kind != array:
		return nil, false, badRoles
	}
	for _, item := range list.items {
		name, ok := item.str("rolename")
		if !ok {
			return nil, false, badRoles
		}
		role := r.content.roles[name]
		if role == nil {
			return nil, false, noRole
		}
		grants, _ = addGrant(grants, role, item.priority(noPriority))
	}
	return grants, true, ""
}

// createClient makes a client.
func (r *request) createClient(v *value) (any, string) {
	name, fail := username(v)
	switch {
	case fail != "":
		return nil, fail
	case name == "":
		return nil, "Empty username"
	}
	password, ok := v.optional("password")
	if !ok {
		return nil, badPassword
	}
	id, ok := v.optional("clientid")
	switch {
	case !ok:
		return nil, "Invalid/missing client id"
	case id != nil && !validName(*id):
		return nil, "Client ID not valid UTF-8"
	}
	c := &client{username: name}
	if id != nil {
		c.clientID = *id
	}
	if c.name, c.description, fail = texts(v); fail != "" {
		return nil, fail
	}
	if r.content.clients[name] != nil {
		return nil, "Client already exists"
	}
	shown := "no password"
	if password != nil && *password != "" { // an empty one is none: nobody is to log in without
		if fail := r.setHash(c, v); fail != "" {
			return nil, fail
		}
		shown = "*****"
	}
	grants, _, fail := r.roleList(v)
	if fail != "" {
		return nil, fail
	}
	members, fail := r.memberships(v, false)
	if fail != "" {
		return nil, fail
	}
	r.content.clients[name] = c
	c.setRoles(grants)
	for _, m := range members {
		m.add(c, m.priority)
	}
	r.touch()
	r.log("createClient", "username", name, "password", shown)
	return nil, ""
}

// memberships returns the groups of a command on a client. If it is strict each of them must have a name.
func (r *request) memberships(v *value, strict bool) (members []membership, fail string) {
	items, _ := v.list("groups")
	for _, item := range items {
		if item.kind != object {
			continue
		}
		name, ok := item.str("groupname")
		g := r.content.groups[name]
		switch {
		case !ok && strict:
			return nil, "'groups' contains an object with an invalid 'groupname'"
		case !ok:
		case g == nil && strict:
			return nil, "'groups' contains an object with a 'groupname' that does not exist"
		case g == nil:
			return nil, noGroup
		case !strict && slices.ContainsFunc(members, func(m membership) bool { return m.group == g }):
			return nil, internalError // so says Mosquitto, of a group that is named twice
		default:
			members = append(members, membership{g, item.priority(noPriority)})
		}
	}
	return members, ""
}

func (r *request) deleteClient(v *value) (any, string) {
	name, ok := v.str("username")
	if !ok {
		return nil, badUsername
	}
	c := r.content.clients[name]
	if c == nil {
		return nil, noClient
	}
	r.content.deleteClient(c)
	r.touch()
	r.kick(name)
	r.log("deleteClient", "username", name)
	return nil, ""
}

func (r *request) disableClient(v *value) (any, string) {
	c, fail := r.findClient(v)
	if fail != "" {
		return nil, fail
	}
	c.disabled = true
	r.touch()
	r.kick(c.username)
	r.log("disableClient", "username", c.username)
	return nil, ""
}

func (r *request) enableClient(v *value) (any, string) {
	c, fail := r.findClient(v)
	if fail != "" {
		return nil, fail
	}
	c.disabled = false
	r.touch()
	r.log("enableClient", "username", c.username)
	return nil, ""
}

func (r *request) setClientID(v *value) (any, string) {
	if _, fail := username(v); fail != "" {
		return nil, fail
	}
	id, ok := v.optional("clientid")
	switch {
	case !ok:
		return nil, "Invalid/missing client ID"
	case id != nil && !validName(*id):
		return nil, "Client ID not valid UTF-8"
	}
	c, fail := r.findClient(v)
	if fail != "" {
		return nil, fail
	}
	c.clientID = ""
	if id != nil {
		c.clientID = *id
	}
	r.touch()
	r.kick(c.username)
	r.log("setClientId", "username", c.username, "clientid", c.clientID)
	return nil, ""
}

func (r *request) setClientPassword(v *value) (any, string) {
	if _, fail := username(v); fail != "" {
		return nil, fail
	}
	password, ok := v.str("password")
	switch {
	case !ok:
		return nil, badPassword
	case password == "":
		return nil, "Empty password is not allowed"
	}
	c, fail := r.findClient(v)
	if fail != "" {
		return nil, fail
	}
	if fail := r.setHash(c, v); fail != "" {
		return nil, fail
	}
	r.touch()
	r.kick(c.username)
	r.log("setClientPassword", "username", c.username, "password", "******")
	return nil, ""
}

// modifyClient replaces what the command has, once all of it is found right.
func (r *request) modifyClient(v *value) (any, string) {
	c, fail := r.findClient(v)
	if fail != "" {
		return nil, fail
	}
	id, hasID := v.str("clientid")
	if hasID && !validName(id) {
		return nil, "Client ID not valid UTF-8"
	}
	grants, hasRoles, fail := r.roleList(v)
	if fail != "" {
		return nil, fail
	}
	_, hasGroups := v.list("groups")
	members, fail := r.memberships(v, true)
	if fail != "" {
		return nil, fail
	}
	if password, ok := v.str("password"); ok && password != "" {
		if fail := r.setHash(c, v); fail != "" {
			return nil, fail
		}
	}
	if hasID {
		c.clientID = id
	}
	setText(&c.name, v, "textname")
	setText(&c.description, v, "textdescription")
	if hasRoles {
		c.setRoles(grants)
	}
	if hasGroups {
		for len(c.groups) > 0 {
			c.groups[0].remove(c)
		}
		for _, m := range members {
			m.add(c, m.priority)
		}
	}
	r.touch()
	r.kick(c.username)
	r.log("modifyClient", "username", c.username)
	return nil, ""
}

// clientAndRole returns what a command names.
func (r *request) clientAndRole(v *value) (c *client, role *role, fail string) {
	if _, fail = username(v); fail != "" {
		return nil, nil, fail
	}
	name, fail := rolename(v)
	if fail != "" {
		return nil, nil, fail
	}
	if c, fail = r.findClient(v); fail != "" {
		return nil, nil, fail
	}
	if role = r.content.roles[name]; role == nil {
		return nil, nil, noRole
	}
	return c, role, ""
}

func (r *request) addClientRole(v *value) (any, string) {
	c, role, fail := r.clientAndRole(v)
	if fail != "" {
		return nil, fail
	}
	priority := v.priority(noPriority)
	if !role.grantTo(c, priority) {
		return nil, internalError // so says Mosquitto, of a role that the client has
	}
	r.touch()
	r.kick(c.username)
	r.log("addClientRole", "username", c.username, "rolename", role.rolename, "priority", priority)
	return nil, ""
}

func (r *request) removeClientRole(v *value) (any, string) {
	c, role, fail := r.clientAndRole(v)
	if fail != "" {
		return nil, fail
	}
	role.takeFrom(c)
	r.touch()
	r.kick(c.username)
	r.log("removeClientRole", "username", c.username, "rolename", role.rolename)
	return nil, ""
}

// describe returns a client as answers have it.
func (r *request) describe(c *client) clientJSON {
	j := c.json()
	groups := []groupRef{}
	for _, m := range c.groups {
		groups = append(groups, groupRef{m.groupname, given(m.priority)})
	}
	connections := []addressJSON{}
	for _, own := range r.connected[c.username] {
		if c.clientID == "" || c.clientID == own.clientID {
			connections = append(connections, own)
		}
	}
	j.Groups, j.Connections = &groups, &connections
	return j
}

// connections returns who is connected, by user name.
func (r *request) connections() map[string][]addressJSON {
	if r.options.Clients == nil {
		return nil
	}
	connected := map[string][]addressJSON{}
	for _, c := range r.options.Clients() {
		if !c.HasUsername {
			continue
		}
		a := addressJSON{clientID: c.ID}
		if tcp, ok := c.RemoteAddr.(*net.TCPAddr); ok {
			a.Address = tcp.AddrPort().Addr().Unmap().String()
		}
		connected[c.Username] = append(connected[c.Username], a)
	}
	return connected
}

func (r *request) getClient(v *value) (any, string) {
	c, fail := r.findClient(v)
	if fail != "" {
		return nil, fail
	}
	r.log("getClient", "username", c.username)
	return struct {
		Client clientJSON `json:"client"`
	}{r.describe(c)}, ""
}

func (r *request) listClients(v *value) (any, string) {
	p := readPage(v)
	data := struct {
		Total   int   `json:"totalCount"`
		Clients []any `json:"clients"`
	}{len(r.content.clients), []any{}}
	for _, name := range p.of(sortedKeys(r.content.clients)) {
		data.Clients = append(data.Clients, p.item(name, func() any { return r.describe(r.content.clients[name]) }))
	}
	r.log("listClients", "verbose", p.verbose, "count", p.count, "offset", p.offset)
	return data, ""
}

// A page is what part of a list a command asks for.
type page struct {
	verbose       bool
	count, offset int
}

func readPage(v *value) page {
	verbose, _ := v.flag("verbose", false)
	return page{verbose, v.integer("count", -1), v.integer("offset", 0)}
}

// of returns the page of all names. A count of 0 is one of 1, as in Mosquitto; a negative one has no bound.
func (p page) of(names []string) []string {
	names = names[min(max(p.offset, 0), len(names)):]
	if p.count >= 0 {
		names = names[:min(max(p.count, 1), len(names))]
	}
	return names
}

// item returns one of the list: its name or, if the command wants to know more, that.
func (p page) item(name string, more func() any) any {
	if p.verbose {
		return more()
	}
	return name
}
