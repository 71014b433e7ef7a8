package clients

import (
	"encoding/json"
	"io"
	"strings"
)

// A ctrlCommand is one command of a module.
type ctrlCommand struct {
	name string
	// arguments are its arguments in their order; those behind the first bracket may be missing.
	arguments string
	print     func(io.Writer, json.RawMessage) error // nil: nothing
}

// brokerCommands are those of $CONTROL/broker/v1.
var brokerCommands = []ctrlCommand{
	{"listListeners", "", printListeners},
	{"listPlugins", "", printPlugins},
}

// dynsecCommands are those of $CONTROL/dynamic-security/v1 that mosquitto_ctrl has, and getDetails.
var dynsecCommands = []ctrlCommand{
	{"getDefaultACLAccess", "", printAccess},
	{"setDefaultACLAccess", "ACLTYPE ALLOW", nil},
	{"getAnonymousGroup", "", printAnonymousGroup},
	{"setAnonymousGroup", "GROUPNAME", nil},
	{"getDetails", "", printDetails},

	{"createClient", "USERNAME [-i CLIENTID] [-p PASSWORD]", nil},
	{"deleteClient", "USERNAME", nil},
	{"setClientPassword", "USERNAME [PASSWORD]", nil},
	{"setClientId", "USERNAME [CLIENTID]", nil},
	{"addClientRole", "USERNAME ROLENAME [PRIORITY]", nil},
	{"removeClientRole", "USERNAME ROLENAME", nil},
	{"getClient", "USERNAME", printClient},
	{"listClients", "[COUNT] [OFFSET]", printList("clients")},
	{"enableClient", "USERNAME", nil},
	{"disableClient", "USERNAME", nil},

	{"createGroup", "GROUPNAME", nil},
	{"deleteGroup", "GROUPNAME", nil},
	{"addGroupRole", "GROUPNAME ROLENAME [PRIORITY]", nil},
	{"removeGroupRole", "GROUPNAME ROLENAME", nil},
	{"addGroupClient", "GROUPNAME USERNAME [PRIORITY]", nil},
	{"removeGroupClient", "GROUPNAME USERNAME", nil},
	{"getGroup", "GROUPNAME", printGroup},
	{"listGroups", "[COUNT] [OFFSET]", printList("groups")},

	{"createRole", "ROLENAME", nil},
	{"deleteRole", "ROLENAME", nil},
	{"addRoleACL", "ROLENAME ACLTYPE TOPIC ALLOW [PRIORITY]", nil},
	{"removeRoleACL", "ROLENAME ACLTYPE TOPIC", nil},
	{"getRole", "ROLENAME", printRole},
	{"listRoles", "[COUNT] [OFFSET]", printList("roles")},
}

// build makes the command's JSON of its arguments.
func (c *ctrlCommand) build(args []string, asks *asker) (map[string]any, error) {
	m := map[string]any{"command": c.name}
	switch c.name {
	case "createClient":
		return m, c.buildClient(m, args, asks)
	case "setClientPassword":
		if len(args) == 1 {
			password, err := asks.twice(args[0], false)
			if err != nil {
				return nil, err
			}
			args = append(args, password)
		}
	}
	names := strings.Fields(c.arguments)
	least := 0
	for _, n := range names {
		if n[0] != '[' {
			least++
		}
	}
	if len(args) < least || len(args) > len(names) {
		return nil, badCommand(c.name, c.arguments)
	}
	for i, arg := range args {
		switch name := strings.ToLower(strings.Trim(names[i], "[]")); name {
		case "priority":
			m[name] = leadingInt(arg)
		case "count", "offset":
			if n := leadingInt(arg); n > 0 {
				m[name] = n
			}
		case "allow":
			if !strings.EqualFold(arg, "allow") && !strings.EqualFold(arg, "deny") {
				return nil, badCommand(c.name, strings.Replace(c.arguments, "ALLOW", "allow|deny", 1))
			}
			m[name] = strings.EqualFold(arg, "allow")
		default:
			m[name] = arg
		}
	}
	if c.name == "setDefaultACLAccess" {
		return map[string]any{"command": c.name, "acls": []any{map[string]any{"acltype": m["acltype"], "allow": m["allow"]}}}, nil
	}
	return m, nil
}

// buildClient makes that of createClient, which has options of its own.
func (c *ctrlCommand) buildClient(m map[string]any, args []string, asks *asker) error {
	if len(args) == 0 {
		return badCommand(c.name, c.arguments)
	}
	m["username"] = args[0]
	for i := 1; i < len(args); i += 2 {
		key := map[string]string{"-c": "clientid", "-i": "clientid", "-p": "password"}[args[i]]
		if key == "" || i+1 == len(args) {
			return badCommand(c.name, c.arguments)
		}
		m[key] = args[i+1]
	}
	if m["password"] == nil {
		password, err := asks.twice(args[0], true)
		if err != nil {
			return err
		}
		if password != "" {
			m["password"] = password
		}
	}
	return nil
}
