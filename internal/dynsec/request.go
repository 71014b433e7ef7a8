package dynsec

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/mqtt"
)

// answer is that to one command.
type answer struct {
	Command     string  `json:"command"`
	Error       string  `json:"error,omitempty"`
	Data        any     `json:"data,omitempty"`
	Correlation *string `json:"correlationData,omitempty"`
	changed     bool
}

// responses are those to one request.
type responses struct {
	Responses []answer `json:"responses"`
}

// The texts of answers to what is no command.
const (
	noCommand     = "Unknown command"
	internalError = "Internal error" // and the log says which
)

// A command is what a request may ask for.
type command struct {
	name string
	// run does it, with s.mu held. It returns what to answer, or what is wrong.
	run  func(*request, *value) (data any, fail string)
	kind commandKind
}

type commandKind uint8

const (
	writes         commandKind = iota
	writesPassword             // writes, and may have a password
	reads                      // changes nothing
	readsWhoIs                 // changes nothing, and needs to know who is connected
)

// commands are all commands.
var commands = []command{
	{"setDefaultACLAccess", (*request).setDefaultACLAccess, writes},
	{"getDefaultACLAccess", (*request).getDefaultACLAccess, reads},
	{"getDetails", (*request).getDetails, reads},

	{"createClient", (*request).createClient, writesPassword},
	{"deleteClient", (*request).deleteClient, writes},
	{"getClient", (*request).getClient, readsWhoIs},
	{"listClients", (*request).listClients, readsWhoIs},
	{"modifyClient", (*request).modifyClient, writesPassword},
	{"setClientPassword", (*request).setClientPassword, writesPassword},
	{"setClientId", (*request).setClientID, writes},
	{"addClientRole", (*request).addClientRole, writes},
	{"removeClientRole", (*request).removeClientRole, writes},
	{"enableClient", (*request).enableClient, writes},
	{"disableClient", (*request).disableClient, writes},

	{"createGroup", (*request).createGroup, writes},
	{"deleteGroup", (*request).deleteGroup, writes},
	{"getGroup", (*request).getGroup, reads},
	{"listGroups", (*request).listGroups, reads},
	{"modifyGroup", (*request).modifyGroup, writes},
	{"addGroupClient", (*request).addGroupClient, writes},
	{"removeGroupClient", (*request).removeGroupClient, writes},
	{"addGroupRole", (*request).addGroupRole, writes},
	{"removeGroupRole", (*request).removeGroupRole, writes},
	{"setAnonymousGroup", (*request).setAnonymousGroup, writes},
	{"getAnonymousGroup", (*request).getAnonymousGroup, reads},

	{"createRole", (*request).createRole, writes},
	{"deleteRole", (*request).deleteRole, writes},
	{"getRole", (*request).getRole, reads},
	{"listRoles", (*request).listRoles, reads},
	{"modifyRole", (*request).modifyRole, writes},
	{"addRoleACL", (*request).addRoleACL, writes},
	{"removeRoleACL", (*request).removeRoleACL, writes},
}

// findCommand returns the command of a name, which Mosquitto reads without regard to case.
func findCommand(name string) *command {
	for i := range commands {
		if strings.EqualFold(commands[i].name, name) {
			return &commands[i]
		}
	}
	return nil
}

// A request is one message with commands.
type request struct {
	*Security
	client  *broker.Client
	answers responses
	changed bool

	// Who is to be disconnected: by user name, and those who have none.
	kicked    map[string]bool
	anonymous bool

	connected map[string][]addressJSON // by user name

	algorithm auth.Algorithm    // of hashes
	hashes    map[*value]hashed // of the passwords of commands
}

// Handle handles a request and returns the answer, with what is to be done when that is sent: it disconnects whose rights are others now, the
// client itself by its error. It may wait: for the hashes of passwords, for another request, and for the file.
func (s *Security) Handle(c *broker.Client, payload []byte) (response []byte, then func() error) {
	r := &request{Security: s, client: c, answers: responses{Responses: []answer{}}}
	commands, fail := readRequest(payload)
	if fail != "" {
		r.reply(noCommand, fail, nil)
		return encode(r.answers, ""), nil
	}
	r.hash(commands)
	s.requests.Lock()
	defer s.requests.Unlock()
	for r.algorithm != s.fileAlgorithm() { // a reload came between, of a file in the other format
		s.requests.Unlock()
		r.hash(commands)
		s.requests.Lock()
	}
	for _, v := range commands {
		if !r.one(v) {
			break
		}
	}
	r.finish()
	return encode(r.answers, ""), r.disconnect
}

// readRequest returns the commands of a request.
func readRequest(payload []byte) (commands []*value, fail string) {
	tree, err := parse(payload, false)
	if err != nil {
		return nil, "Payload not valid JSON"
	}
	commands, ok := tree.list("commands")
	if !ok {
		return nil, "Invalid/missing commands"
	}
	return commands, ""
}

// reply adds an answer.
func (r *request) reply(name, fail string, correlation *string) *answer {
	r.answers.Responses = append(r.answers.Responses, answer{Command: name, Error: fail, Correlation: correlation})
	return &r.answers.Responses[len(r.answers.Responses)-1]
}

// one handles one command. It reports false if those behind it are not looked at, as in Mosquitto.
func (r *request) one(v *value) bool {
	if v.kind != object {
		r.reply(noCommand, "Command not an object", nil)
		return false
	}
	name, ok := v.str("command")
	if !ok {
		r.reply(noCommand, "Missing command", nil)
		return false
	}
	correlation, ok := v.optional("correlationData")
	if !ok {
		r.reply(name, "Invalid correlationData data type.", nil)
		return false
	}
	cmd := findCommand(name)
	if cmd == nil {
		r.reply(name, noCommand, correlation)
		return true
	}
	before := r.changed
	r.changed = false
	data, fail := r.run(cmd, v)
	if data != nil {
		name = cmd.name
	}
	a := r.reply(name, fail, correlation)
	a.Data, a.changed = data, r.changed
	r.changed = r.changed || before
	return true
}

// run runs a command with the lock that it needs.
func (r *request) run(cmd *command, v *value) (data any, fail string) {
	if cmd.kind == readsWhoIs && r.connected == nil {
		r.connected = r.connections()
	}
	if cmd.kind == reads || cmd.kind == readsWhoIs {
		r.mu.RLock()
		defer r.mu.RUnlock()
		return cmd.run(r, v)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmd.run(r, v)
}

// finish puts the changes in force and writes the file. If that cannot be done the changes hold, for now, and the commands that
// made them are answered with an error; the next request tries to write them again.
func (r *request) finish() {
	if r.changed {
		r.unsaved = true
		r.mu.Lock()
		r.rules.Store(r.compile())
		r.mu.Unlock()
		if r.options.Changed != nil {
			r.options.Changed()
		}
	}
	err := r.save()
	if err == nil {
		return
	}
	r.options.Log.Error("Dynamic security: the file could not be written, and what was changed holds until the broker ends: " + err.Error())
	for i := range r.answers.Responses {
		if a := &r.answers.Responses[i]; a.changed {
			a.Error, a.Data = internalError, nil
		}
	}
}

// touch notes a change. r.mu is held.
func (r *request) touch() {
	r.changed = true
	r.content.changeIndex++
}

// kick makes all connections of a client end.
func (r *request) kick(username string) {
	if r.kicked == nil {
		r.kicked = map[string]bool{}
	}
	r.kicked[username] = true
}

func (r *request) kickGroup(g *group) {
	if g == r.content.anonymous {
		r.anonymous = true
	}
	for username := range g.clients {
		r.kick(username)
	}
}

func (r *request) kickRole(role *role) {
	for c := range role.clients {
		r.kick(c.username)
	}
	for g := range role.groups {
		r.kickGroup(g)
	}
}

// disconnect ends the connections of who was kicked. For the client itself it returns why.
func (r *request) disconnect() error {
	if r.kicked == nil && !r.anonymous || r.options.Clients == nil {
		return nil
	}
	var own error
	for _, c := range r.options.Clients() {
		switch {
		case c.HasUsername && !r.kicked[c.Username], !c.HasUsername && !r.anonymous:
		case c == r.client:
			own = mqtt.AdministrativeAction
		default:
			r.options.Disconnect(c, mqtt.AdministrativeAction)
		}
	}
	return own
}

// log writes what a command did, as Mosquitto does: its name and pairs of keys and values.
func (r *request) log(name string, pairs ...any) {
	var b strings.Builder
	user := r.client.Username
	if !r.client.HasUsername {
		user = "(null)"
	}
	fmt.Fprintf(&b, "dynsec: %s/%s | %s", r.client.ID, user, name)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, " | %s=%v", pairs[i], pairs[i+1])
	}
	r.options.Log.Info(b.String())
}
