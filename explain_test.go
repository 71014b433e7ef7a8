package unio

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// withRules returns a configuration with both kinds of files, by listener, as a file.
func withRules(t *testing.T, dir string) *config.Config {
	t.Helper()
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic readwrite plant/#\n")
	write(t, filepath.Join(dir, "rules"), "# who\ngroup ops user=ann,bob\n"+
		"deny write topic=plant/secret/#\n"+
		"allow read,write topic=plant/%u/# address=10.0.0.0/8 group=ops\n"+
		"allow publish topic=plant/%u/x qos=0\n")
	conf := filepath.Join(dir, "unio.conf")
	write(t, conf, "per_listener_settings true\n"+
		"listener 1883\nacl_file "+dir+"/acl\nrules_file "+dir+"/rules\n"+
		"listener 1884\nmount_point plant/\nrules_file "+dir+"/rules\n"+
		"listener 1885\n")
	cfg, err := config.Load(conf)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestExplainNamesRulesPlaceholdersAndNearMisses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := withRules(t, dir)
	ann := Question{ClientID: "c", Username: "ann", Version: mqtt.V5}
	for _, c := range []struct {
		change func(*Question)
		allow  bool
		want   string // the files' reasons; {} is the folder
	}{
		{
			func(q *Question) { q.Action, q.Topic, q.Address = "publish", "plant/ann/x", "10.1.1.1" }, true,
			"{}/acl:2: topic readwrite plant/#; {}/rules:4: allow read,write topic=plant/%u/# address=10.0.0.0/8 group=ops [%u=ann]",
		},
		{
			func(q *Question) { q.Action, q.Topic, q.Address, q.QoS = "publish", "plant/ann/x", "11.1.1.1", 1 }, false,
			"{}/acl:2: topic readwrite plant/#; no rule matched, default deny (4: address=10.0.0.0/8 is 11.1.1.1) (5: qos=0 is 1)",
		},
		{
			func(q *Question) { q.Action, q.Topic = "will", "plant/secret/x" }, false,
			"{}/acl:2: topic readwrite plant/#; {}/rules:3: deny write topic=plant/secret/#",
		},
		{
			func(q *Question) { q.Action, q.Topic, q.Username = "receive", "plant/bob/x", "bob" }, false,
			"no rule grants it (2: user ann is bob); no rule matched, default deny (4: address=10.0.0.0/8 is none)",
		},
		{func(q *Question) { q.Action = "connect" }, true, "an ACL file does not limit who may connect; no rule matched, default allow"},
		{func(q *Question) { q.Action, q.Topic, q.Listener = "publish", "ann/x", ":1884" }, true, "{}/rules:5: allow publish topic=plant/%u/x qos=0 [%u=ann]"},
		{func(q *Question) { q.Action, q.Topic, q.Listener = "publish", "x", ":1885" }, true, "the listener has neither acl_file nor rules_file nor dynamic security"},
		{func(q *Question) { q.Action, q.Topic = "publish", "$SYS/x" }, false, "no client publishes below $SYS or $share, whatever the rules say"},
		{func(q *Question) { q.Action, q.Topic = "publish", "$SYS" }, false, "no client publishes below $SYS or $share, whatever the rules say"},
		{func(q *Question) { q.Action, q.Topic = "publish", "$share/g/a" }, false, "no client publishes below $SYS or $share, whatever the rules say"},
		{func(q *Question) { q.Action, q.Topic = "will", "$CONTROL" }, false, "no will is a request below $CONTROL, whatever the rules say"},
		{
			func(q *Question) {
				q.Action, q.Topic, q.Listener, q.Username, q.Anonymous = "publish", "$SYS/broker/connection/x/state", ":1885", "", true
			}, false,
			"the listener has neither acl_file nor rules_file nor dynamic security: no rule matched, and only a bridge or a client that has logged in" +
				" tells the state of a bridge then",
		},
		{
			func(q *Question) {
				q.Action, q.Topic, q.Listener = "publish", "$SYS/broker/connection/x/state", ":1885"
			}, true,
			"the listener has neither acl_file nor rules_file nor dynamic security",
		},
	} {
		q := ann
		c.change(&q)
		a, err := Explain(cfg, q)
		if err != nil {
			t.Error(err)
			continue
		}
		var parts []string
		if a.Reason != "" {
			parts = append(parts, a.Reason)
		}
		for i := range a.Files {
			f := &a.Files[i]
			text := f.String()
			for _, p := range f.Placeholders {
				text += " [" + p.Placeholder + "=" + strings.Join(p.Values, ",") + "]"
			}
			for _, m := range f.NearMisses {
				text += " (" + string(rune('0'+m.Rule.Line)) + ": " + m.Condition + " is " + m.Is + ")"
			}
			parts = append(parts, text)
		}
		if got := strings.ReplaceAll(strings.Join(parts, "; "), dir, "{}"); got != c.want || a.Allow != c.allow {
			t.Errorf("%s %s:\n%v %s\nwant\n%v %s", q.Action, q.Topic, a.Allow, got, c.allow, c.want)
		}
	}
	for _, q := range []Question{
		{Action: "fly", Topic: "a"},
		{Action: "publish", Topic: "a/+"},
		{Action: "subscribe", Topic: "a+"},
		{Action: "connect", Topic: "a"},
		{Action: "publish", Topic: "a", Address: "ten"},
		{Action: "publish", Topic: "a", Listener: "9"},
	} {
		if a, err := Explain(cfg, q); err == nil || !strings.HasPrefix(err.Error(), "expected ") {
			t.Errorf("%+v: %+v, %v", q, a, err)
		}
	}
}

func TestDenialsAreLoggedAndToldToClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rules, trail := filepath.Join(dir, "rules"), filepath.Join(dir, "audit")
	write(t, rules, "allow read,write topic=a\ndeny connect user=eve\n")
	cfg := onSockets(t, "a")
	cfg.Listeners[0].RulesFile, cfg.ExplainToClient, cfg.AuditLog = rules, true, trail
	var out testenv.Buffer
	s := start(t, cfg, slog.New(slog.NewTextHandler(&out, nil)))
	why := "no rule matched, default deny"
	conn, _ := login(t, s, "ann", "x")
	p := mqtt.Publish{Topic: []byte("b"), QoS: 1, PacketID: 1}
	if _, err := conn.Write(p.Append(nil, mqtt.V5)); err != nil {
		t.Fatal(err)
	}
	if ack, ok := receiveAs(t, conn, mqtt.V5).(*mqtt.Ack); !ok || ack.Reason != mqtt.NotAuthorized || string(ack.Properties.ReasonString) != why {
		t.Errorf("PUBACK is %+v", ack)
	}
	_, ack := connect(t, s.Addrs()[0], mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: "e", HasUsername: true, Username: "eve"})
	if got, want := string(ack.Properties.ReasonString), rules+":2: deny connect user=eve"; got != want || ack.Reason != mqtt.NotAuthorized {
		t.Errorf("CONNACK says %v, %q", ack.Reason, got)
	}
	write(t, rules, "allow read,write topic=a\ndeny connect user=eve\ndeny connect user=ann\n")
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if d, ok := receiveAs(t, conn, mqtt.V5).(*mqtt.Disconnect); !ok || d.Reason != mqtt.NotAuthorized || string(d.Properties.ReasonString) != rules+":3: deny connect user=ann" {
		t.Errorf("DISCONNECT is %+v", d)
	}
	log := out.String()
	for _, want := range []string{
		"Denied publish of client id-ann to 'b' (q1, r0): no rule matched, default deny",
		"Denied connect of client e: " + rules + ":2: deny connect user=eve",
		"Client id-ann may not be connected any more: " + rules + ":3: deny connect user=ann",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no line %q:\n%s", want, log)
		}
	}
	if got, want := audited(t, trail, 2), []string{"denied ann", "denied eve"}; len(got) < 2 || !slices.Equal(got[:2], want) {
		t.Errorf("audit log %q, want %q first", got, want)
	}
}
