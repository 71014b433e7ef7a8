package unio

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/dynsec"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// dynsecFile has an administrator and the client ann, who may do all below a/, both with the password "secret".
const dynsecFile = `{
	"defaultACLAccess": {"publishClientSend": false, "publishClientReceive": true, "subscribe": false, "unsubscribe": true},
	"clients": [
		{"username": "admin", "encoded_password": "` + secretHash + `", "roles": [{"rolename": "admin"}]},
		{"username": "ann", "encoded_password": "` + secretHash + `", "roles": [{"rolename": "a"}]}
	],
	"groups": [],
	"roles": [
		{"rolename": "admin", "acls": [
			{"acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": true}, {"acltype": "publishClientReceive", "topic": "$CONTROL/#", "allow": true},
			{"acltype": "subscribePattern", "topic": "$CONTROL/#", "allow": true}, {"acltype": "publishClientSend", "topic": "#", "allow": true}
		]},
		{"rolename": "a", "acls": [
			{"acltype": "publishClientSend", "topic": "a/#", "allow": true}, {"acltype": "subscribePattern", "topic": "a/#", "allow": true}
		]}
	]
}`

// withDynsec returns a configuration whose listeners have a file of dynamic security, as far as they are named in with.
func withDynsec(t *testing.T, with string, names ...string) (*config.Config, string) {
	t.Helper()
	cfg := onSockets(t, names...)
	path := filepath.Join(t.TempDir(), "dynsec.json")
	write(t, path, dynsecFile)
	for i := range cfg.Listeners {
		cfg.Listeners[i].AllowAnonymous = false
		if strings.Contains(with, names[i]) {
			cfg.Listeners[i].DynamicSecurity.ConfigFile = path
		}
	}
	return cfg, path
}

// peer is a client of 5.0.
type peer struct {
	t    *testing.T
	conn net.Conn
	got  []string // messages
	id   uint16
}

// enter connects a user with the password "secret".
func enter(t *testing.T, s *Server, listener int, user string, keep bool) *peer {
	t.Helper()
	c := mqtt.Connect{
		Version: mqtt.V5, CleanStart: !keep, ClientID: "id-" + user, HasUsername: user != "", Username: user, HasPassword: user != "", Password: []byte("secret"),
	}
	if keep {
		c.Properties.SetSessionExpiry(1000)
	}
	conn, ack := connect(t, s.Addrs()[listener], c)
	if ack.Reason != mqtt.Success {
		t.Fatalf("%s: %v", user, ack.Reason)
	}
	return &peer{t: t, conn: conn}
}

func (p *peer) send(q mqtt.Packet) {
	p.t.Helper()
	if _, err := p.conn.Write(q.Append(nil, mqtt.V5)); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the next packet that is no message.
func (p *peer) next() mqtt.Packet {
	p.t.Helper()
	for {
		q := receiveAs(p.t, p.conn, mqtt.V5)
		m, ok := q.(*mqtt.Publish)
		if !ok {
			return q
		}
		p.got = append(p.got, string(m.Topic)+" "+string(m.Payload))
	}
}

func (p *peer) subscribe(filter string) mqtt.ReasonCode {
	p.t.Helper()
	p.id++
	p.send(&mqtt.Subscribe{PacketID: p.id, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: 1}}})
	ack, ok := p.next().(*mqtt.Suback)
	if !ok {
		p.t.Fatalf("no SUBACK for %s", filter)
	}
	return ack.Reasons[0]
}

func (p *peer) publish(topic, payload string, retain bool) mqtt.ReasonCode {
	p.t.Helper()
	p.id++
	p.send(&mqtt.Publish{QoS: 1, PacketID: p.id, Topic: []byte(topic), Payload: []byte(payload), Retain: retain})
	ack, ok := p.next().(*mqtt.Ack)
	if !ok {
		p.t.Fatalf("no PUBACK for %s", topic)
	}
	return ack.Reason
}

// messages returns what has come.
func (p *peer) messages() string {
	p.t.Helper()
	p.send(&mqtt.Pingreq{})
	if q := p.next(); q.Type() != mqtt.PINGRESP {
		p.t.Fatalf("got %+v", q)
	}
	got := strings.Join(p.got, ", ")
	p.got = nil
	return got
}

// do sends commands, which must succeed.
func (p *peer) do(commands ...string) {
	p.t.Helper()
	p.messages()
	if code := p.publish(dynsec.Topic, `{"commands":[`+strings.Join(commands, ",")+`]}`, false); code != mqtt.Success {
		p.t.Fatalf("%s: %v", commands, code)
	}
	if got := p.messages(); strings.Contains(got, "error") || !strings.HasPrefix(got, dynsec.Topic+"/response {") {
		p.t.Fatalf("%s: %s", commands, got)
	}
}

func (p *peer) expectDisconnect(want mqtt.ReasonCode) {
	p.t.Helper()
	if d, ok := p.next().(*mqtt.Disconnect); !ok || d.Reason != want {
		p.t.Errorf("got %+v, want DISCONNECT %v", d, want)
	}
}

func administrator(t *testing.T, s *Server) *peer {
	t.Helper()
	p := enter(t, s, 0, "admin", false)
	if code := p.subscribe("$CONTROL/#"); code.Failed() {
		t.Fatal(code)
	}
	return p
}

func TestCommandsTakeEffectOnLiveConnections(t *testing.T) {
	t.Parallel()
	cfg, _ := withDynsec(t, "a", "a")
	s := start(t, cfg, nil)
	admin, ann := administrator(t, s), enter(t, s, 0, "ann", false)
	if code := ann.publish("b", "x", false); code != mqtt.NotAuthorized {
		t.Errorf("publish to b: %v", code)
	}
	admin.do(`{"command":"setDefaultACLAccess","acls":[{"acltype":"publishClientSend","allow":true}]}`)
	if code := ann.publish("b", "x", false); code.Failed() {
		t.Errorf("publish to b when the default access is another one: %v", code)
	}
	if code := ann.subscribe("a/#"); code.Failed() {
		t.Errorf("subscribe to a/#: %v", code)
	}
	admin.do(`{"command":"addRoleACL","rolename":"a","acltype":"subscribePattern","topic":"b","allow":true}`)
	ann.expectDisconnect(mqtt.AdministrativeAction)
	ann = enter(t, s, 0, "ann", false)
	if code := ann.subscribe("b"); code.Failed() {
		t.Errorf("subscribe to b: %v", code)
	}
	admin.do(`{"command":"disableClient","username":"ann"}`)
	ann.expectDisconnect(mqtt.AdministrativeAction)
	if _, code := login(t, s, "ann", "secret"); code != mqtt.NotAuthorized {
		t.Errorf("a disabled client: %v", code)
	}
	// Who changes its own password is told so, and then disconnected.
	if code := admin.publish(dynsec.Topic, `{"commands":[{"command":"setClientPassword","username":"admin","password":"new"}]}`, false); code.Failed() {
		t.Error(code)
	}
	admin.expectDisconnect(mqtt.AdministrativeAction)
	if got := strings.Join(admin.got, ""); !strings.HasSuffix(got, dynsec.Topic+`/response {"responses":[{"command":"setClientPassword"}]}`) {
		t.Errorf("answered by %s", got)
	}
	if _, code := login(t, s, "admin", "secret"); code != mqtt.NotAuthorized {
		t.Errorf("the old password: %v", code)
	}
}

func TestQueuedMessagesAreAskedAboutAgain(t *testing.T) {
	t.Parallel()
	cfg, _ := withDynsec(t, "a", "a")
	s := start(t, cfg, nil)
	admin, ann := administrator(t, s), enter(t, s, 0, "ann", true)
	if code := ann.subscribe("a/#"); code.Failed() {
		t.Fatal(code)
	}
	if code := ann.publish("a/kept", "of ann", true); code.Failed() {
		t.Fatal(code)
	}
	_ = ann.messages()
	ann.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: 1})
	ann.send(&mqtt.Disconnect{})
	if code := admin.publish("a/queued", "for ann", false); code.Failed() {
		t.Fatal(code)
	}
	admin.do(`{"command":"addRoleACL","rolename":"a","acltype":"publishClientReceive","topic":"a/queued","allow":false}`)
	ann = enter(t, s, 0, "ann", true)
	if got := ann.messages(); got != "" {
		t.Errorf("ann got %s", got)
	}
	// What ann has left is not delivered any more when she may not publish it any more.
	admin.do(
		`{"command":"createClient","username":"reader","password":"secret"}`,
		`{"command":"createRole","rolename":"reads","acls":[{"acltype":"subscribePattern","topic":"a/#","allow":true}]}`,
		`{"command":"addClientRole","username":"reader","rolename":"reads"}`,
	)
	for _, c := range []struct{ command, want string }{
		{`{"command":"enableClient","username":"ann"}`, "a/kept of ann"},
		{`{"command":"removeClientRole","username":"ann","rolename":"a"}`, ""},
	} {
		admin.do(c.command)
		reader := enter(t, s, 0, "reader", false)
		if code := reader.subscribe("a/#"); code.Failed() {
			t.Fatal(code)
		}
		if got := reader.messages(); got != c.want {
			t.Errorf("%s: the reader got %q, want %q", c.command, got, c.want)
		}
	}
}

func TestEachListenerHasItsDynamicSecurity(t *testing.T) {
	t.Parallel()
	cfg, _ := withDynsec(t, "a", "a", "b")
	cfg.Listeners[1].AllowAnonymous = true
	s := start(t, cfg, nil)
	administrator(t, s).do(`{"command":"getDetails"}`)
	other := enter(t, s, 1, "", false)
	if code := other.subscribe("$CONTROL/#"); code.Failed() {
		t.Fatal(code)
	}
	for _, topic := range []string{dynsec.Topic, "$CONTROL/nothing"} {
		if code := other.publish(topic, `{"commands":[{"command":"listClients"}]}`, false); code.Failed() {
			t.Errorf("%s: %v", topic, code)
		}
		if got := other.messages(); got != topic+`/response {"error":"endpoint not available"}` {
			t.Errorf("got %s", got)
		}
	}
}

func TestReloadReadsDynamicSecurityAgain(t *testing.T) {
	t.Parallel()
	cfg, path := withDynsec(t, "a", "a")
	var out testenv.Buffer
	s := start(t, cfg, slog.New(mosqlog.New(&out, config.Log{Types: config.LogAll})))
	admin, ann := administrator(t, s), enter(t, s, 0, "ann", false)
	if code := ann.publish("b", "x", false); code != mqtt.NotAuthorized {
		t.Error(code)
	}
	if want := "Denied publish of client id-ann to 'b' (q1, r0): " + path + ":defaultACLAccess: publishClientSend deny"; !strings.Contains(out.String(), want) {
		t.Errorf("no line %q in\n%s", want, out.String())
	}
	write(t, path, "{\n"+dynsecFile)
	if err := s.Reload(cfg); err == nil || !strings.Contains(err.Error(), path+":2: ") {
		t.Errorf("a broken file: %v", err)
	}
	if code := ann.publish("a/b", "x", false); code.Failed() {
		t.Errorf("after a broken file: %v", code)
	}
	write(t, path, strings.Replace(dynsecFile, `"ann"`, `"bob"`, 1))
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	ann.expectDisconnect(mqtt.NotAuthorized)
	enter(t, s, 0, "bob", false)
	admin.do(`{"command":"getClient","username":"bob"}`)
	if err := s.Reload(cfg); err != nil { // nothing has changed
		t.Fatal(err)
	}
	admin.do(`{"command":"listClients"}`)
	next := *cfg
	next.Listeners = append([]config.Listener(nil), cfg.Listeners...)
	next.Listeners[0].DynamicSecurity.ConfigFile = ""
	if err := s.Reload(&next); err != nil {
		t.Fatal(err)
	}
	admin.expectDisconnect(mqtt.NotAuthorized) // nobody vouches for the name any more
	if !strings.Contains(out.String(), "dynsec: id-admin/admin | getClient | username=bob") {
		t.Errorf("the log is %s", out.String())
	}
}

func TestFilesAndDynamicSecurityAllHaveToAllow(t *testing.T) {
	t.Parallel()
	cfg, _ := withDynsec(t, "a", "a")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "passwd"), "file:"+secretHash+"\n")
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic a/b\ntopic c\n")
	cfg.Listeners[0].PasswordFile, cfg.Listeners[0].ACLFile = filepath.Join(dir, "passwd"), filepath.Join(dir, "acl")
	s := start(t, cfg, nil)
	ann := enter(t, s, 0, "ann", false)
	for topic, want := range map[string]bool{"a/b": true, "a/c": false, "c": false} {
		if code := ann.publish(topic, "x", false); code.Failed() == want {
			t.Errorf("%s: %v", topic, code)
		}
	}
	file := enter(t, s, 0, "file", false)
	if code := file.publish("a/b", "x", false); code != mqtt.NotAuthorized {
		t.Errorf("a user whom dynamic security does not know: %v", code)
	}
	for user, password := range map[string]string{"file": "wrong", "ann": "wrong", "nobody": "secret", "": ""} {
		if _, code := login(t, s, user, password); code != mqtt.NotAuthorized {
			t.Errorf("%s: %v", user, code)
		}
	}
}

func TestCertificatesOfDisabledClientsAreRefused(t *testing.T) {
	t.Parallel()
	cfg, _ := withDynsec(t, "a", "a")
	s := start(t, cfg, nil)
	admin := administrator(t, s)
	listener := cfg.Listeners[0].Name()
	named := func(user string) *broker.Client {
		return &broker.Client{ID: "x", Username: user, HasUsername: true, Listener: listener, Transport: &broker.Transport{Username: user}}
	}
	enters := func(c *broker.Client) bool {
		return s.access.Authenticator.Authenticate(context.Background(), c, nil) == nil && s.access.Authenticator.Valid(c) &&
			s.access.Authorizer.Authorize(broker.Access{Client: c, Action: broker.ActionConnect})
	}
	for _, name := range []string{"ann", "stranger"} {
		if !enters(named(name)) {
			t.Errorf("%s is refused", name)
		}
	}
	admin.do(`{"command":"disableClient","username":"ann"}`)
	if enters(named("ann")) {
		t.Error("a disabled client is let in with a certificate")
	}
}

func TestDynamicSecurityIsExplained(t *testing.T) {
	t.Parallel()
	cfg, path := withDynsec(t, "a", "a")
	for _, c := range []struct {
		action, topic, user string
		allow               bool
		why                 string
	}{
		{"publish", "a/b", "ann", true, path + ":a: publishClientSend allow a/# (priority 0)"},
		{"publish", "b", "ann", false, path + ":defaultACLAccess: publishClientSend deny"},
		{"subscribe", "$CONTROL/#", "ann", false, path + ": $CONTROL must be granted by a role, whatever defaultACLAccess says"},
		{"receive", "b", "eve", false, path + ": the file has no such client, so there is nothing that it may do"},
	} {
		a, err := Explain(cfg, Question{Action: c.action, Topic: c.topic, ClientID: "x", Username: c.user})
		if err != nil {
			t.Fatal(err)
		}
		if a.Allow != c.allow || len(a.Files) != 1 || a.Files[0].String() != c.why {
			t.Errorf("%s %s: %v, %v, want %s", c.action, c.topic, a.Allow, a.Files, c.why)
		}
		if _, err := json.Marshal(a); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Explain(cfg, Question{Action: "publish", Topic: "a", ClientID: "x"}); err == nil {
		t.Error("explained without a file")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("explaining makes a file")
	}
	warnings, err := CheckFiles(cfg)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), "will make it") {
		t.Errorf("%v, %v", warnings, err)
	}
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.MadeFiles(); len(got) == 0 || got[0] != path && got[len(got)-1] != path {
		t.Errorf("made %q", got)
	}
}
