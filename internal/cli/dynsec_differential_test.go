//go:build unix

package cli_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// dynsecPlugin is Debian's.
const dynsecPlugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"

const (
	commandTopic  = "$CONTROL/dynamic-security/v1"
	responseTopic = commandTopic + "/response"
)

// firstDynsec is the file that both brokers start with. The administrator has the password "secret", of few iterations.
const firstDynsec = `{
	"defaultACLAccess": {"publishClientSend": false, "publishClientReceive": true, "subscribe": false, "unsubscribe": true},
	"clients": [{
		"username": "admin", "iterations": 10, "salt": "c2FsdHNhbHRzYWx0",
		"password": "OdxDgWbUtQ3rYBqrOnceLeJsCWSJOaQkrqenov92XcKlDDbZKJpjESlXxTkg6+23m/QslJwUPE1cq2uoOJN1JQ==",
		"roles": [{"rolename": "admin"}]
	}],
	"roles": [{"rolename": "admin", "acls": [
		{"acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": true},
		{"acltype": "publishClientReceive", "topic": "$CONTROL/#", "allow": true},
		{"acltype": "subscribePattern", "topic": "$CONTROL/#", "allow": true},
		{"acltype": "publishClientSend", "topic": "#", "allow": true}
	]}]
}`

// TestDynamicSecurityDoesWhatMosquittosDoes lets administrators of both brokers send the same generated commands, and then clients
// try the same. Answers are compared as JSON, decisions by their reason codes, and who is disconnected.
func TestDynamicSecurityDoesWhatMosquittosDoes(t *testing.T) {
	t.Parallel()
	testenv.File(t, clitest.Mosquitto, "mosquitto")
	testenv.File(t, dynsecPlugin, "mosquitto")
	const configurations, rounds, requests = 6, 2, 30
	for seed := range uint64(configurations) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), mode: mode(seed % 3)}
			pair := startPair(t, g.mode)
			for _, request := range g.setup() {
				pair.command(request)
			}
			pair.comeBack()
			pair.try(g.Rand)
			for range rounds {
				for i := range requests {
					g.known = pair.known()
					pair.command(g.request())
					if i%4 == 0 {
						pair.comeBack()
					}
				}
				pair.comeBack()
				pair.look()
				pair.try(g.Rand)
			}
		})
	}
}

// pair is both brokers, with the administrator of each.
type pair struct {
	t       *testing.T
	mode    mode
	brokers [2]*dynsecBroker // ours, and theirs
}

// dynsecBroker is one of them.
type dynsecBroker struct {
	t       *testing.T
	name    string
	port    int
	admin   *caller
	callers map[string]*caller // by user name
}

func startPair(t *testing.T, m mode) *pair {
	p := &pair{t: t, mode: m}
	for i, program := range []string{clitest.Binary, clitest.Mosquitto} {
		path := filepath.Join(t.TempDir(), "dynsec.json")
		rewrite(t, path, firstDynsec)
		b := &dynsecBroker{t: t, name: filepath.Base(program), port: testenv.FreePort(t), callers: map[string]*caller{}}
		conf := clitest.File(
			t, "user root", "log_type all", "set_tcp_nodelay true", fmt.Sprintf("listener %d 127.0.0.1", b.port), "allow_anonymous true",
			"plugin "+dynsecPlugin, "plugin_opt_config_file "+path,
		)
		clitest.Launch(t, exec.Command(program, "-c", conf)).Await("running$")
		b.admin = b.call("admin", "the-admin", "secret")
		if b.admin == nil {
			t.Fatalf("%s does not let its administrator in", program)
		}
		b.admin.subscribe(responseTopic)
		p.brokers[i] = b
	}
	return p
}

// A caller is a client of one broker.
type caller struct {
	t    *testing.T
	conn net.Conn
	id   uint16
	gone bool
	got  []*mqtt.Publish
}

// call connects a client; nil: it is refused.
func (b *dynsecBroker) call(user, id, password string) *caller {
	c := &caller{t: b.t, conn: clitest.Dial(b.t, b.port)}
	connect := mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: id, KeepAlive: 600}
	if user != "" {
		connect.HasUsername, connect.Username, connect.HasPassword, connect.Password = true, user, true, []byte(password)
	}
	c.send(&connect)
	if ack, ok := c.next(mqtt.CONNACK).(*mqtt.Connack); !ok || ack.Reason != mqtt.Success {
		_ = c.conn.Close()
		return nil
	}
	return c
}

func (c *caller) send(p mqtt.Packet) {
	if _, err := c.conn.Write(p.Append(nil, mqtt.V5)); err != nil {
		c.gone = true
	}
}

// next returns the next packet of a type, and keeps messages. It is nil when the connection has ended.
func (c *caller) next(want mqtt.Type) mqtt.Packet {
	for !c.gone {
		p, err := readPacket(c.conn, mqtt.V5)
		if err != nil {
			c.gone = true
			break
		}
		switch p := p.(type) {
		case *mqtt.Publish:
			c.got = append(c.got, p)
			if want == mqtt.PUBLISH {
				return p
			}
		case *mqtt.Disconnect:
			c.gone = true
		default:
			if p.Type() == want {
				return p
			}
		}
	}
	return nil
}

// alive reports whether the connection has not ended, and drops what has come.
func (c *caller) alive() bool {
	c.send(&mqtt.Pingreq{})
	c.next(mqtt.PINGRESP)
	return !c.gone
}

func (c *caller) subscribe(filter string) string {
	c.id++
	c.send(&mqtt.Subscribe{PacketID: c.id, Subscriptions: []mqtt.Subscription{{Filter: filter}}})
	if ack, ok := c.next(mqtt.SUBACK).(*mqtt.Suback); ok {
		return ack.Reasons[0].String()
	}
	return "closed"
}

func (c *caller) unsubscribe(filter string) string {
	c.id++
	c.send(&mqtt.Unsubscribe{PacketID: c.id, Filters: []string{filter}})
	if ack, ok := c.next(mqtt.UNSUBACK).(*mqtt.Unsuback); ok {
		if ack.Reasons[0] == mqtt.NoSubscriptionExisted { // Mosquitto 2.0 does not always say so
			ack.Reasons[0] = mqtt.Success
		}
		return ack.Reasons[0].String()
	}
	return "closed"
}

func (c *caller) publish(topic, payload string) string {
	c.id++
	c.send(&mqtt.Publish{QoS: 1, PacketID: c.id, Topic: []byte(topic), Payload: []byte(payload)})
	if ack, ok := c.next(mqtt.PUBACK).(*mqtt.Ack); ok {
		if ack.Reason == mqtt.NoMatchingSubscribers { // somebody may have been let subscribe to $x or not: see dollar
			ack.Reason = mqtt.Success
		}
		return ack.Reason.String()
	}
	return "closed"
}

// command sends a request and returns the answer.
func (b *dynsecBroker) command(request string) any {
	b.t.Helper()
	b.admin.got = nil
	if code := b.admin.publish(commandTopic, request); code != mqtt.Success.String() {
		b.t.Fatalf("%s: %s: %s", b.name, request, code)
	}
	b.admin.send(&mqtt.Pingreq{}) // Mosquitto sends what plugins publish when something happens, or after 100 ms
	if len(b.admin.got) == 0 && b.admin.next(mqtt.PUBLISH) == nil {
		b.t.Fatalf("%s: no answer", request)
	}
	var answer any
	if err := json.Unmarshal(b.admin.got[0].Payload, &answer); err != nil {
		b.t.Fatalf("%s: %q: %v", request, b.admin.got[0].Payload, err)
	}
	return answer
}

// command sends a request to both, and compares the answers and who is disconnected.
func (p *pair) command(request string) {
	p.t.Helper()
	var answers [2]any
	var gone [2][]string
	for i, b := range p.brokers {
		answers[i] = without(b.command(request), newMembers)
		gone[i] = b.gone()
	}
	if !reflect.DeepEqual(answers[0], answers[1]) {
		p.t.Errorf("%s\n\tunio:      %s\n\tmosquitto: %s", request, asJSON(answers[0]), asJSON(answers[1]))
	}
	for _, user := range slices.Concat(gone[0], gone[1]) { // whoever is gone of one is gone of both, until comeBack
		for _, b := range p.brokers {
			if c := b.callers[user]; c != nil {
				_ = c.conn.Close()
				delete(b.callers, user)
			}
		}
	}
	// Mosquitto 2.0.11 forgets the anonymous ones when a role of their group changes, who was in a group before modifyGroup,
	// who has a role of modifyRole by a group, and who has a role by a list of roles.
	forgets := strings.Contains(request, "modifyGroup") || strings.Contains(request, "modifyRole") || p.mode == deletesNothing && strings.Contains(request, "RoleACL")
	gone[0] = slices.DeleteFunc(gone[0], func(user string) bool { return !slices.Contains(gone[1], user) && (user == "" || forgets) })
	stale := p.mode == deletesNothing && forgets // it also keeps in mind who had a role by a list, and does not any more
	if !slices.Equal(gone[0], gone[1]) && !harmless(answers[0]) && !stale {
		p.t.Errorf("%s\n\tunio disconnects      %q\n\tmosquitto disconnects %q", request, gone[0], gone[1])
	}
}

// comeBack connects everybody who is not, as far as they are let in.
func (p *pair) comeBack() {
	for _, b := range p.brokers {
		b.comeBack()
	}
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// The names in generated commands. What is not among the first of them does not exist.
var (
	dynsecUsers  = []string{"u1", "u2", "u3"}
	dynsecGroups = []string{"g1", "g2"}
	dynsecRoles  = []string{"r1", "r2", "r3", "r4"}
	dynsecTopics = []string{"a/b", "a/#", "a/+", "+/b", "#", "b", "b/c/d", "+/+/d", "a/b/#", "$SYS/#", "$x/#", "$x/y", "/", "+/+"}
	dynsecNames  = []string{"a/b", "a", "b", "a/b/c", "b/c/d", "c", "$x/y", "/", "a/", "$SYS/broker/uptime"}
	dynsecTypes  = []string{
		"publishClientSend", "publishClientReceive", "subscribeLiteral", "subscribePattern", "unsubscribeLiteral", "unsubscribePattern",
	}
	passwordsTried = []string{"p1", "p2"}
)

// gone returns who is not connected any more.
func (b *dynsecBroker) gone() []string {
	var gone []string
	for _, user := range append([]string{""}, dynsecUsers...) {
		if c := b.callers[user]; c != nil && !c.alive() {
			gone = append(gone, user)
			_ = c.conn.Close()
			delete(b.callers, user)
		}
	}
	return gone
}

// comeBack connects all who are not, as far as they are let in.
func (b *dynsecBroker) comeBack() {
	for _, user := range append([]string{""}, dynsecUsers...) {
		for _, password := range passwordsTried {
			if b.callers[user] == nil {
				if c := b.call(user, "id-"+user, password); c != nil {
					b.callers[user] = c
				}
			}
		}
	}
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// A generator makes requests.
type generator struct {
	*rand.Rand
	mode mode
	known
}

// mode says which requests are left out, because Mosquitto 2.0.11 would crash or read what is not there any more: its roles do not know all who
// have them, nor forget all who are deleted.
type mode uint8

const (
	deletesNothing mode = iota
	deletesRoles        // which nobody has got by a list of roles
	deletesOthers       // which have no roles
)

// allowed returns a command that the mode allows.
func (m mode) allowed(name string) string {
	switch {
	case m == deletesNothing && strings.HasPrefix(name, "delete"),
		m == deletesRoles && (name == "deleteClient" || name == "deleteGroup"),
		m == deletesOthers && name == "deleteRole":
		return "get" + strings.TrimPrefix(name, "delete")
	case m == deletesOthers && (name == "addClientRole" || name == "addGroupRole"):
		return "remove" + strings.TrimPrefix(name, "add")
	}
	return name
}

// known is what there is. Mosquitto 2.0.11 goes wrong in commands that modify something and name what there is not: it does half of
// them, or all but that. It also deletes the anonymous group, and then reads what is not there any more.
type known struct {
	clients, groups, roles []string
	anonymous              string
}

// setup returns requests that make clients, groups and roles with many ACLs.
func (g *generator) setup() []string {
	var commands []any
	for _, role := range dynsecRoles {
		commands = append(commands, map[string]any{"command": "createRole", "rolename": role, "acls": g.acls(14)})
	}
	for _, group := range dynsecGroups {
		commands = append(commands, map[string]any{"command": "createGroup", "groupname": group})
		if g.mode != deletesOthers {
			commands = append(commands, map[string]any{"command": "addGroupRole", "groupname": group, "rolename": pick(g.Rand, dynsecRoles)})
		}
	}
	for _, user := range dynsecUsers {
		commands = append(commands, map[string]any{"command": "createClient", "username": user, "password": "p1"})
		commands = append(commands, map[string]any{"command": "addGroupClient", "groupname": pick(g.Rand, dynsecGroups), "username": user, "priority": g.IntN(3)})
		if g.mode != deletesOthers {
			commands = append(commands, map[string]any{"command": "addClientRole", "rolename": pick(g.Rand, dynsecRoles), "username": user, "priority": g.IntN(3)})
		}
	}
	commands = append(commands, map[string]any{"command": "setAnonymousGroup", "groupname": "g1"})
	var requests []string
	for _, c := range commands {
		requests = append(requests, asJSON(map[string]any{"commands": []any{c}}))
	}
	return requests
}

// acls returns up to n ACLs, of different types or topics: Mosquitto 2.0.11 takes the same one twice.
func (g *generator) acls(n int) []any {
	var acls []any
	had := map[string]bool{}
	for range g.IntN(n) {
		t, topic := pick(g.Rand, dynsecTypes), pick(g.Rand, dynsecTopics)
		if had[t+topic] {
			continue
		}
		had[t+topic] = true
		acls = append(acls, map[string]any{"acltype": t, "topic": topic, "priority": g.IntN(5) - 2, "allow": g.IntN(3) > 0})
	}
	return acls
}

// request returns a request of one to three commands.
func (g *generator) request() string {
	var commands []map[string]any
	for range 1 + g.IntN(3) {
		c := g.command()
		if name := c["command"].(string); strings.HasPrefix(name, "delete") || name == "setAnonymousGroup" { // what is known would not hold behind it
			return asJSON(map[string]any{"commands": []any{c}})
		}
		commands = append(commands, c)
	}
	return asJSON(map[string]any{"commands": commands})
}

// command returns a command, mostly a right one.
func (g *generator) command() map[string]any {
	r := g.Rand
	name := pick(r, []string{
		"createClient", "createClient", "createGroup", "createRole", "createRole", "deleteClient", "deleteGroup", "deleteRole",
		"enableClient", "disableClient", "getClient", "listClients", "modifyClient", "setClientId", "setClientPassword",
		"addClientRole", "addClientRole", "removeClientRole", "getGroup", "listGroups", "modifyGroup", "addGroupClient", "addGroupClient",
		"removeGroupClient", "addGroupRole", "addGroupRole", "removeGroupRole", "setAnonymousGroup", "getAnonymousGroup", "getRole", "listRoles",
		"modifyRole", "addRoleACL", "addRoleACL", "addRoleACL", "removeRoleACL", "setDefaultACLAccess", "getDefaultACLAccess", "nonsense", "LISTroles",
	})
	c := map[string]any{"username": pick(r, dynsecUsers), "groupname": pick(r, dynsecGroups), "rolename": pick(r, dynsecRoles)}
	if name = g.mode.allowed(name); name == "deleteGroup" && c["groupname"] == g.anonymous {
		name = "getGroup"
	}
	c["command"] = name
	may := func(n int, key string, value any) {
		if r.IntN(n) == 0 {
			c[key] = value
		}
	}
	may(3, "correlationData", fmt.Sprint("c", r.IntN(100)))
	may(3, "textname", "a <name> & more")
	may(3, "textdescription", "é\n\"")
	may(2, "priority", r.IntN(7)-3)
	switch {
	case strings.HasPrefix(name, "list"):
		may(2, "verbose", true)
		may(2, "count", r.IntN(4)-1)
		may(2, "offset", r.IntN(4))
	case strings.Contains(name, "ACL"):
		c["acltype"], c["topic"] = pick(r, dynsecTypes), pick(r, dynsecTopics)
		may(2, "allow", r.IntN(3) > 0)
		if name == "setDefaultACLAccess" {
			c["acls"] = []any{map[string]any{"acltype": pick(r, []string{"publishClientSend", "publishClientReceive", "subscribe", "unsubscribe", "x"}), "allow": r.IntN(2) > 0}}
		}
	case strings.HasSuffix(name, "Role"):
		may(2, "acls", g.acls(8))
	case name == "createClient", name == "modifyClient", name == "setClientPassword", name == "setClientId":
		may(2, "password", pick(r, passwordsTried))
		may(5, "clientid", "id-"+pick(r, dynsecUsers))
	}
	list := func(key string, of []string) (items []any) {
		for range min(2, len(of)) {
			item := map[string]any{key: pick(r, of)}
			if r.IntN(2) == 0 {
				item["priority"] = r.IntN(5) - 2
			}
			items = append(items, item)
		}
		return items
	}
	switch name {
	case "modifyClient":
		if g.mode == deletesNothing {
			may(2, "roles", list("rolename", g.roles))
		}
		may(2, "groups", list("groupname", g.groups))
	case "modifyGroup":
		may(2, "clients", list("username", g.clients))
		if g.mode == deletesNothing {
			may(2, "roles", list("rolename", g.roles))
		}
	case "createClient", "createGroup":
		if g.mode == deletesNothing {
			may(2, "roles", list("rolename", g.roles))
		}
		if name == "createClient" && len(g.groups) > 0 {
			may(3, "groups", []any{map[string]any{"groupname": pick(r, g.groups), "priority": r.IntN(5) - 2}})
		}
	}
	if r.IntN(12) == 0 && !strings.HasPrefix(name, "modify") { // a wrong one
		key := pick(r, []string{"username", "groupname", "rolename", "password", "clientid", "textname", "textdescription", "priority", "acltype", "topic", "allow", "roles", "acls", "verbose"})
		switch r.IntN(3) {
		case 0:
			delete(c, key)
		case 1:
			c[key] = 7
		default:
			c[key] = pick(r, []string{"", "nobody", "\x01", "a#", "\u0085"})
			if c[key] == "" && (key == "topic" || strings.HasSuffix(key, "name") && strings.HasPrefix(name, "create")) {
				c[key] = "a#" // since Mosquitto takes an empty one
			}
		}
	}
	return c
}

// known returns what there is.
func (p *pair) known() known {
	var answer struct {
		Responses []struct {
			Data struct {
				Clients, Groups, Roles []string
				Group                  struct{ Groupname string }
			}
		}
	}
	text := asJSON(p.brokers[0].command(`{"commands":[{"command":"listClients"},{"command":"listGroups"},{"command":"listRoles"},{"command":"getAnonymousGroup"}]}`))
	if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Responses) != 4 {
		p.t.Fatalf("%s: %v", text, err)
	}
	a := answer.Responses
	names := func(all []string) []string {
		return slices.DeleteFunc(all, func(s string) bool { return s == "admin" })
	}
	return known{names(a[0].Data.Clients), a[1].Data.Groups, names(a[2].Data.Roles), a[3].Data.Group.Groupname}
}

// look compares all that the brokers know.
func (p *pair) look() {
	p.t.Helper()
	for _, request := range []string{
		`{"commands":[{"command":"listClients","verbose":true},{"command":"listGroups","verbose":true},{"command":"listRoles","verbose":true}]}`,
		`{"commands":[{"command":"getDefaultACLAccess"},{"command":"getAnonymousGroup"}]}`,
		`{"commands":[{"command":"listRoles"},7]}`,
		`{"commands":[{"command":"listRoles","correlationData":7},{"command":"listRoles"}]}`,
		`{"commands":[{"command":"listRoles"},{"x":1}]}`,
		`{"commands":{}}`, `{}`, `[]`, `{`, ``, `{"commands":[]} behind`,
	} {
		p.command(request)
	}
}

// try lets all clients try everything.
func (p *pair) try(r *rand.Rand) {
	p.t.Helper()
	for _, user := range append([]string{""}, dynsecUsers...) {
		var seen [2][]string
		filters := slices.Clone(dynsecTopics)
		r.Shuffle(len(filters), func(i, j int) { filters[i], filters[j] = filters[j], filters[i] })
		filters = filters[:6]
		for i, b := range p.brokers {
			seen[i] = b.tries(user, filters)
		}
		if len(seen[0]) != len(seen[1]) {
			p.t.Errorf("client %q: unio %q, mosquitto %q", user, seen[0], seen[1])
			continue
		}
		for i, ours := range seen[0] {
			if theirs := seen[1][i]; ours != theirs && !dollar(ours, theirs) {
				p.t.Errorf("client %q\n\tunio:      %s\n\tmosquitto: %s\n%s", user, ours, theirs, asJSON(p.brokers[0].command(
					`{"commands":[{"command":"getClient","username":"`+user+`"},{"command":"listGroups","verbose":true},{"command":"listRoles","verbose":true},{"command":"getDefaultACLAccess"},{"command":"getAnonymousGroup"}]}`)))
				break
			}
		}
	}
}

// dollar reports whether the difference is that patterns of Mosquitto 2.0.11 which begin with a wildcard cover filters that begin with $.
func dollar(ours, theirs string) bool {
	words := strings.SplitN(ours, " ", 3)
	return strings.HasPrefix(words[1], "$") && strings.HasSuffix(words[0], "subscribe") != strings.Contains(ours, "through") && strings.HasPrefix(ours, words[0]) &&
		(strings.Contains(ours, "not authorized") || strings.Contains(theirs, "not authorized"))
}

// tries returns what a client may do, as it sees it.
func (b *dynsecBroker) tries(user string, filters []string) []string {
	c := b.callers[user]
	if c == nil {
		return []string{"is not let in"}
	}
	var seen []string
	note := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
	for _, topic := range dynsecNames {
		note("publish %s: %s", topic, c.publish(topic, "x"))
	}
	for _, filter := range filters {
		code := c.subscribe(filter)
		note("subscribe %s: %s", filter, code)
		for _, topic := range dynsecNames {
			if strings.HasPrefix(filter, "$") {
				break // see dollar
			}
			c.got = nil
			b.admin.publish(topic, "y")
			c.alive()
			n := 0
			for _, m := range c.got { // not those of the broker itself
				if string(m.Topic) == topic && string(m.Payload) == "y" {
					n++
				}
			}
			note("%d of %s through %s", n, topic, filter)
		}
		note("unsubscribe %s: %s", filter, c.unsubscribe(filter))
	}
	_ = c.conn.SetDeadline(time.Time{})
	return seen
}

// The differences that docs/dynamic-security.md explains.

// newMembers are those of answers that Mosquitto 2.0.11 does not give yet.
var newMembers = regexp.MustCompile(`^(connections|allowwildcardsubs)$`)

// without returns JSON without the members whose names match.
func without(v any, names *regexp.Regexp) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if names.MatchString(k) {
				delete(v, k)
			} else {
				v[k] = without(v[k], names)
			}
		}
	case []any:
		for i := range v {
			v[i] = without(v[i], names)
		}
	}
	return v
}

// harmless reports whether some command was refused: Mosquitto disconnects the client of such a one, in some cases.
func harmless(answer any) bool { return strings.Contains(asJSON(answer), `"error"`) }
