package unio

import (
	"net"
	"path/filepath"
	"slices"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// revocation is a broker whose rules change.
type revocation struct {
	t    *testing.T
	s    *Server
	cfg  *config.Config
	path string

	early []string // topics of messages that came before a SUBACK, as they may
}

// ruled starts a broker with a file of rules: "acl_file" or "rules_file".
func ruled(t *testing.T, option, rules string) *revocation {
	t.Helper()
	r := &revocation{t: t, cfg: onSockets(t, "a"), path: filepath.Join(t.TempDir(), "rules")}
	write(t, r.path, rules)
	if l := &r.cfg.Listeners[0]; option == "acl_file" {
		l.ACLFile = r.path
	} else {
		l.RulesFile = r.path
	}
	r.s = start(t, r.cfg, nil)
	return r
}

func (r *revocation) change(rules string) {
	r.t.Helper()
	write(r.t, r.path, rules)
	if err := r.s.Reload(r.cfg); err != nil {
		r.t.Fatal(err)
	}
}

// client connects with a session that is kept.
func (r *revocation) client(id string) net.Conn {
	r.t.Helper()
	c := mqtt.Connect{Version: mqtt.V5, ClientID: id}
	c.Properties.SetSessionExpiry(1000)
	conn, ack := connect(r.t, r.s.Addrs()[0], c)
	if ack.Reason != mqtt.Success {
		r.t.Fatalf("%s: %v", id, ack.Reason)
	}
	return conn
}

func (r *revocation) sendV5(conn net.Conn, p mqtt.Packet) {
	r.t.Helper()
	if _, err := conn.Write(p.Append(nil, mqtt.V5)); err != nil {
		r.t.Fatal(err)
	}
}

// subscribe subscribes to filters, and returns the reasons.
func (r *revocation) subscribe(conn net.Conn, filters ...string) []mqtt.ReasonCode {
	r.t.Helper()
	p := &mqtt.Subscribe{PacketID: 9}
	for _, f := range filters {
		p.Subscriptions = append(p.Subscriptions, mqtt.Subscription{Filter: f, Options: 1})
	}
	r.sendV5(conn, p)
	for {
		switch p := receiveAs(r.t, conn, mqtt.V5).(type) {
		case *mqtt.Publish:
			r.take(conn, p)
		case *mqtt.Suback:
			return p.Reasons
		default:
			r.t.Fatalf("got %T", p)
		}
	}
}

// take acknowledges a message that came.
func (r *revocation) take(conn net.Conn, p *mqtt.Publish) {
	r.early = append(r.early, string(p.Topic))
	r.sendV5(conn, &mqtt.Ack{Kind: mqtt.PUBACK, PacketID: p.PacketID})
}

// publish is the broker's own message, which nobody is asked about.
func (r *revocation) publish(topic string, retain bool) {
	r.t.Helper()
	if err := r.s.Broker().Publish(&store.Message{Topic: topic, Payload: []byte("x"), QoS: 1, Retain: retain}); err != nil {
		r.t.Fatal(err)
	}
}

// gets checks the topics of what has arrived, or arrives before the answer to PINGREQ.
func (r *revocation) gets(conn net.Conn, want ...string) {
	r.t.Helper()
	r.sendV5(conn, &mqtt.Pingreq{})
	for {
		switch p := receiveAs(r.t, conn, mqtt.V5).(type) {
		case *mqtt.Publish:
			r.take(conn, p)
		case *mqtt.Pingresp:
			if !slices.Equal(r.early, want) {
				r.t.Errorf("got %q, want %q", r.early, want)
			}
			r.early = nil
			return
		default:
			r.t.Fatalf("got %T", p)
		}
	}
}

func (r *revocation) subscriptions() int {
	n := 0
	r.s.Broker().WalkSubscriptions(func(string, store.Subscription) bool { n++; return true })
	return n
}

// leave ends a connection and waits until the session is on its own.
func (r *revocation) leave(conn net.Conn) {
	r.t.Helper()
	r.sendV5(conn, &mqtt.Disconnect{})
	for _, err := conn.Read(make([]byte, 1)); err == nil; _, err = conn.Read(make([]byte, 1)) {
	}
}

// TestChangedRulesTakeEffect has rules of both files that allow to receive a and secret, and then a alone. A subscription that the rules
// do not forbid stays, without deliveries, as in Mosquitto; one that they forbid ends.
func TestChangedRulesTakeEffect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, option, before, after string
		subscriptions               int // left
	}{
		{"an ACL file", "acl_file", "topic read a\ntopic read secret\n", "topic read a\n", 2},
		{"a rules file on receiving", "rules_file", "allow read topic=a,secret\n", "allow read topic=a,secret\ndeny receive topic=secret priority=1\n", 2},
		{"a rules file on subscribing", "rules_file", "allow read topic=a,secret\n", "allow read topic=a,secret\ndeny subscribe topic=secret priority=1\n", 1},
	} {
		t.Run(c.name+", live", func(t *testing.T) {
			t.Parallel()
			r := ruled(t, c.option, c.before)
			conn := r.client("c")
			r.subscribe(conn, "a", "secret")
			r.publish("secret", false)
			r.gets(conn, "secret")
			r.change(c.after)
			r.publish("secret", false)
			r.publish("a", false)
			r.gets(conn, "a")
			if n := r.subscriptions(); n != c.subscriptions {
				t.Errorf("%d subscriptions, want %d", n, c.subscriptions)
			}
			r.change(c.before)
			r.subscribe(conn, "secret") // which a client of an ended subscription must do
			r.publish("secret", false)
			r.gets(conn, "secret")
		})
		t.Run(c.name+", offline", func(t *testing.T) {
			t.Parallel()
			r := ruled(t, c.option, c.before)
			conn := r.client("c")
			r.subscribe(conn, "a", "secret")
			r.leave(conn)
			r.publish("secret", false) // waits, and is asked about again
			r.change(c.after)
			r.publish("secret", false)
			r.publish("a", false)
			conn = r.client("c")
			r.gets(conn, "a")
			if n := r.subscriptions(); n != c.subscriptions {
				t.Errorf("%d subscriptions, want %d", n, c.subscriptions)
			}
		})
		t.Run(c.name+", retained", func(t *testing.T) {
			t.Parallel()
			r := ruled(t, c.option, c.before)
			r.publish("secret", true)
			r.publish("a", true)
			conn := r.client("c")
			r.subscribe(conn, "secret")
			r.gets(conn, "secret")
			r.change(c.after)
			want := []mqtt.ReasonCode{mqtt.GrantedQoS1, mqtt.GrantedQoS1}
			if c.subscriptions == 1 {
				want[0] = mqtt.NotAuthorized
			}
			if got := r.subscribe(conn, "secret", "a"); !slices.Equal(got, want) {
				t.Errorf("SUBACK has %v, want %v", got, want)
			}
			r.gets(conn, "a")
		})
	}
}

// TestARetainedMessageWhoseSourceMayNotPublishIsKeptBack changes what the source may do.
func TestARetainedMessageWhoseSourceMayNotPublishIsKeptBack(t *testing.T) {
	t.Parallel()
	for option, rules := range map[string][2]string{
		"acl_file":   {"topic readwrite #\n", "topic read #\n"},
		"rules_file": {"allow read,write topic=#\n", "allow read topic=#\n"},
	} {
		r := ruled(t, option, rules[0])
		source, reader := r.client("source"), r.client("reader")
		r.sendV5(source, &mqtt.Publish{Topic: []byte("t"), Payload: []byte("x"), QoS: 1, PacketID: 1, Retain: true})
		if ack, ok := receiveAs(t, source, mqtt.V5).(*mqtt.Ack); !ok || ack.Reason.Failed() {
			t.Fatalf("%s: %+v", option, ack)
		}
		r.subscribe(reader, "t")
		r.gets(reader, "t")
		r.change(rules[1])
		r.subscribe(reader, "t")
		r.gets(reader)
	}
}

// TestAWillIsAskedAboutWhenItIsPublished changes what its client may do meanwhile.
func TestAWillIsAskedAboutWhenItIsPublished(t *testing.T) {
	t.Parallel()
	for option, rules := range map[string][2]string{
		"acl_file":   {"topic readwrite #\n", "topic read #\ntopic write other\n"},
		"rules_file": {"allow read,write topic=#\n", "allow read topic=#\nallow write topic=other\n"},
	} {
		r := ruled(t, option, rules[0])
		reader := r.client("reader")
		r.subscribe(reader, "#")
		for _, will := range []string{"t", "other"} {
			_, ack := connect(t, r.s.Addrs()[0], mqtt.Connect{
				Version: mqtt.V5, CleanStart: true, ClientID: will, Will: &mqtt.Will{Topic: will, Payload: []byte("x"), QoS: 1},
			})
			if ack.Reason != mqtt.Success {
				t.Fatalf("%s: %v", option, ack.Reason)
			}
		}
		r.change(rules[1])
		for _, id := range []string{"t", "other"} { // the second one is there when the first one was decided
			r.s.Broker().Disconnect(id, mqtt.AdministrativeAction)
		}
		if p, ok := receiveAs(t, reader, mqtt.V5).(*mqtt.Publish); !ok || string(p.Topic) != "other" {
			t.Errorf("%s: got %+v", option, p)
		}
	}
}
