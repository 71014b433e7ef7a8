package dynsec

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// The types below are the JSON of files and answers, with the members in Mosquitto's order.

type fileJSON struct {
	ChangeIndex    int64             `json:"changeIndex"`
	DefaultAccess  defaultAccessJSON `json:"defaultACLAccess"`
	Clients        []clientJSON      `json:"clients"`
	Groups         []groupJSON       `json:"groups"`
	Roles          []roleJSON        `json:"roles"`
	AnonymousGroup string            `json:"anonymousGroup,omitempty"`
}

type defaultAccessJSON struct {
	Send        bool `json:"publishClientSend"`
	Receive     bool `json:"publishClientReceive"`
	Subscribe   bool `json:"subscribe"`
	Unsubscribe bool `json:"unsubscribe"`
}

type clientJSON struct {
	Username    string         `json:"username"`
	ClientID    string         `json:"clientid,omitempty"`
	Name        *string        `json:"textname,omitempty"`
	Description *string        `json:"textdescription,omitempty"`
	Disabled    bool           `json:"disabled,omitempty"`
	Roles       []roleRef      `json:"roles"`
	Groups      *[]groupRef    `json:"groups,omitempty"`      // of answers
	Connections *[]addressJSON `json:"connections,omitempty"` // of answers
	Encoded     string         `json:"encoded_password,omitempty"`
	Password    string         `json:"password,omitempty"`
	Salt        string         `json:"salt,omitempty"`
	Iterations  int            `json:"iterations,omitempty"`
}

type addressJSON struct {
	Address  string `json:"address,omitempty"`
	clientID string
}

type roleRef struct {
	Rolename string `json:"rolename"`
	Priority *int   `json:"priority,omitempty"`
}

type groupRef struct {
	Groupname string `json:"groupname"`
	Priority  *int   `json:"priority,omitempty"`
}

type clientRef struct {
	Username string `json:"username"`
	Priority *int   `json:"priority,omitempty"`
}

type groupJSON struct {
	Groupname   string      `json:"groupname"`
	Name        *string     `json:"textname,omitempty"`
	Description *string     `json:"textdescription,omitempty"`
	Roles       []roleRef   `json:"roles"`
	Clients     []clientRef `json:"clients"`
}

type roleJSON struct {
	Rolename    string    `json:"rolename"`
	Name        *string   `json:"textname,omitempty"`
	Description *string   `json:"textdescription,omitempty"`
	Wildcards   bool      `json:"allowwildcardsubs"`
	ACLs        []aclJSON `json:"acls"`
}

type aclJSON struct {
	Type     string `json:"acltype"`
	Topic    string `json:"topic"`
	Priority int    `json:"priority"`
	Allow    bool   `json:"allow"`
}

// given returns a priority as it is written: none if none was given.
func given(priority int) *int {
	if priority == noPriority {
		return nil
	}
	return &priority
}

func roleRefs(grants []grant) []roleRef {
	refs := make([]roleRef, 0, len(grants))
	for _, g := range grants {
		refs = append(refs, roleRef{g.rolename, given(g.priority)})
	}
	return refs
}

func (r *role) json() roleJSON {
	j := roleJSON{Rolename: r.rolename, Name: r.name, Description: r.description, Wildcards: r.wildcards, ACLs: []aclJSON{}}
	for t := range types {
		for _, e := range r.acls[t] {
			j.ACLs = append(j.ACLs, aclJSON{types[t].name, e.topic, e.priority, e.allow})
		}
	}
	return j
}

func (g *group) json() groupJSON {
	j := groupJSON{Groupname: g.groupname, Name: g.name, Description: g.description, Roles: roleRefs(g.roles), Clients: []clientRef{}}
	for _, name := range sortedKeys(g.clients) {
		j.Clients = append(j.Clients, clientRef{name, given(g.priorityOf(g.clients[name]))})
	}
	return j
}

// json returns the client without password.
func (c *client) json() clientJSON {
	return clientJSON{
		Username: c.username, ClientID: c.clientID, Name: c.name, Description: c.description, Disabled: c.disabled, Roles: roleRefs(c.roles),
	}
}

// setPassword adds the password's hash as a file has it.
func (j *clientJSON) setPassword(c *client) {
	if c.hash == nil {
		j.Encoded = c.unreadable
		return
	}
	j.Encoded = c.hash.String()
	if parts := strings.Split(j.Encoded, "$"); c.triple && len(parts) == 5 && parts[1] == "7" {
		j.Iterations, _ = strconv.Atoi(parts[2])
		j.Encoded, j.Salt, j.Password = "", parts[3], parts[4]
	}
}

// file returns the content as the file has it.
func (s *content) file() []byte {
	d := s.defaults
	j := fileJSON{
		ChangeIndex:   s.changeIndex,
		DefaultAccess: defaultAccessJSON{d[defaultSend], d[defaultReceive], d[defaultSubscribe], d[defaultUnsubscribe]},
		Clients:       make([]clientJSON, 0, len(s.clients)), Groups: make([]groupJSON, 0, len(s.groups)), Roles: make([]roleJSON, 0, len(s.roles)),
	}
	for _, name := range sortedKeys(s.clients) {
		c := s.clients[name]
		client := c.json()
		client.setPassword(c)
		j.Clients = append(j.Clients, client)
	}
	for _, name := range sortedKeys(s.groups) {
		j.Groups = append(j.Groups, s.groups[name].json())
	}
	for _, name := range sortedKeys(s.roles) {
		j.Roles = append(j.Roles, s.roles[name].json())
	}
	if s.anonymous != nil {
		j.AnonymousGroup = s.anonymous.groupname
	}
	return encode(j, "\t")
}

// encode writes JSON without a newline at its end.
func encode(v any, indent string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		panic("dynsec: " + err.Error()) // there is nothing in our types that cannot be written
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
