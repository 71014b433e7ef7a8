package acl

import (
	"io"
	"slices"
	"testing"

	"github.com/uniomq/unio/mqtt"
)

// A frontEnd is a way to write rules: those of joe, who reads and writes below open, of everybody, whose devices are below dev, and of
// admin, who may do everything.
type frontEnd struct {
	t     *testing.T
	rules string
	// denyA is a line that takes open/a from joe, and must stand first.
	denyA string
	parse func(testing.TB, string) *Rules
}

func frontEnds(t *testing.T) map[string]*frontEnd {
	return map[string]*frontEnd{
		"acl_file": {
			t, "user joe\ntopic readwrite open/#\nuser admin\ntopic readwrite #\ntopic readwrite $SYS/#\npattern readwrite dev/%u/%c/#\npattern readwrite own/%c\npattern readwrite %u/#\n",
			"user joe\ntopic deny open/a\n",
			func(t testing.TB, text string) *Rules { return mustParse(t, text).Compile() },
		},
		"rules_file": {
			t, "default allow subscribe\nallow receive,write topic=open/# user=joe\nallow receive,write topic=#,$SYS/# user=admin\n" +
				"allow receive,write topic=dev/%u/%c/#,own/%c,%u/#\n",
			"deny receive,write topic=open/a user=joe\n",
			func(t testing.TB, text string) *Rules { return mustParseRules(t, text).Compile() },
		},
	}
}

func (f *frontEnd) options(before string) Options {
	return Options{Rules: []*Rules{f.parse(f.t, before+f.rules)}}
}

// onBoth runs a test for each front end, with a broker and its admin.
func onBoth(t *testing.T, test func(t *testing.T, f *frontEnd, z *Authorizer, address string, admin *peer)) {
	t.Parallel()
	for name, f := range frontEnds(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.t = t
			z := New(f.options(""))
			address := serve(t, z)
			test(t, f, z, address, dial(t, "tcp", address, named("admin")))
		})
	}
}

func (p *peer) want(topics ...string) {
	p.t.Helper()
	if got := p.received(); !slices.Equal(got, topics) {
		p.t.Errorf("%q came, want %q", got, topics)
	}
}

func (p *peer) publishAll(topics ...string) {
	p.t.Helper()
	for _, name := range topics {
		if code := p.publish(name); code.Failed() {
			p.t.Fatalf("publish to %s: %v", name, code)
		}
	}
}

// mustRetain publishes a retained message.
func (p *peer) mustRetain(name string) {
	p.t.Helper()
	if code := p.publishPacket(&mqtt.Publish{Topic: []byte(name), Retain: true, Payload: []byte("x")}); code.Failed() {
		p.t.Fatalf("publish to %s: %v", name, code)
	}
}

func TestNoWayAroundBySubscriptions(t *testing.T) {
	onBoth(t, func(t *testing.T, _ *frontEnd, _ *Authorizer, address string, admin *peer) {
		admin.mustRetain("secret/retained")
		joe := dial(t, "tcp", address, named("joe"))
		for _, filter := range []string{"#", "+/#", "$share/g/+/shared", "$share/g/#", "secret/retained", "+/a", "secret/+", "$SYS/#"} {
			joe.subscribe(filter, 1)
		}
		admin.publishAll("secret/a", "secret/shared", "open/x", "open")
		got := joe.received()
		slices.Sort(got)
		// Once by "#", "+/#" and the shared subscription each.
		if want := []string{"open", "open", "open", "open/x", "open/x", "open/x"}; !slices.Equal(got, want) {
			t.Errorf("joe receives %q", got)
		}
	})
}

func TestNoWayAroundByPublishing(t *testing.T) {
	onBoth(t, func(t *testing.T, _ *frontEnd, _ *Authorizer, address string, admin *peer) {
		joe := dial(t, "tcp", address, named("joe"))
		aliased := &mqtt.Publish{Topic: []byte("secret/b"), Payload: []byte("x"), Retain: true}
		aliased.Properties.SetTopicAlias(1)
		for _, way := range []string{"with an alias", "by the alias alone"} {
			if code := joe.publishPacket(aliased); code != mqtt.NotAuthorized {
				t.Errorf("publishing %s is answered by %v", way, code)
			}
			aliased.Topic = nil
		}
		for _, name := range []string{"secret/a", "openx", "$share/g/open/x", "$SYS/open", "/open/x"} {
			if code := joe.publish(name); code != mqtt.NotAuthorized {
				t.Errorf("publishing to %s is answered by %v", name, code)
			}
		}
		if code := admin.publish("$SYS/x"); code != mqtt.NotAuthorized {
			t.Errorf("admin publishes below $SYS: %v", code)
		}
		will := named("joe")
		will.ClientID, will.Will = "other", &mqtt.Will{Topic: "secret/d", Retain: true, Payload: []byte("x")}
		if _, code := try(t, "tcp", address, will); code != mqtt.NotAuthorized {
			t.Errorf("a will is answered by %v", code)
		}
		admin.subscribe("#", 1)
		admin.want()
	})
}

func TestNoWayAroundByNames(t *testing.T) {
	onBoth(t, func(t *testing.T, _ *frontEnd, _ *Authorizer, address string, admin *peer) {
		for _, who := range []struct{ user, id string }{
			{"+", "+"}, {"#", "#"}, {"joe/c", "x"}, {"joe", "c/#"}, {"bob", "+"}, {"bob", "#"}, {"victim/dev", "a"}, {"$SYS", "$SYS"}, {"", "victim/x"},
		} {
			c := named(who.user)
			c.ClientID = who.id
			p := dial(t, "tcp", address, c)
			for _, filter := range []string{"dev/#", "own/#", "victim/#", "$SYS/#"} {
				p.subscribe(filter, 1)
			}
			if code := p.publish("dev/victim/c/x"); code != mqtt.NotAuthorized {
				t.Errorf("%q@%q publishes to the victim: %v", who.user, who.id, code)
			}
			admin.publishAll("dev/victim/c/x", "dev/joe/c/x", "own/victim", "own/victim/x", "victim/dev/x", "dev/joe/c/x/y")
			p.want()
		}
	})
}

func TestNoWayAroundByNUL(t *testing.T) {
	onBoth(t, func(t *testing.T, _ *frontEnd, _ *Authorizer, address string, _ *peer) {
		for _, c := range []*mqtt.Connect{
			{Version: mqtt.V5, CleanStart: true, ClientID: "a", HasUsername: true, Username: "admin\x00joe"},
			{Version: mqtt.V5, CleanStart: true, ClientID: "a\x00b", HasUsername: true, Username: "joe"},
		} {
			if _, code := try(t, "tcp", address, c); code != mqtt.MalformedPacket {
				t.Errorf("a NUL in CONNECT is answered by %v", code)
			}
		}
		joe := dial(t, "tcp", address, named("joe"))
		joe.send(&mqtt.Publish{Topic: []byte("open/\x00/secret"), QoS: 1, PacketID: 1})
		if d, ok := joe.next().(*mqtt.Disconnect); !ok || !d.Reason.Failed() {
			t.Errorf("a NUL in a topic is answered by %+v", d)
		}
	})
}

// storedAs returns a client whose session lasts.
func storedAs(user string) *mqtt.Connect {
	c := named(user)
	c.CleanStart = false
	c.Properties.SetSessionExpiry(3600)
	return c
}

// leave disconnects and waits until the broker has closed the connection.
func (p *peer) leave(d *mqtt.Disconnect) {
	p.t.Helper()
	p.send(d)
	if _, err := p.conn.Read(make([]byte, 1)); err != io.EOF {
		p.t.Fatalf("the broker answers to DISCONNECT: %v", err)
	}
}

func TestRevokedRightsHoldForWhatWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, f *frontEnd, z *Authorizer, address string, admin *peer) {
		joe := dial(t, "tcp", address, storedAs("joe"))
		joe.subscribe("open/#", 1)
		joe.leave(&mqtt.Disconnect{})
		admin.publishAll("open/a", "open/b")
		z.Set(f.options(f.denyA))
		joe = dial(t, "tcp", address, storedAs("joe"))
		joe.want("open/b")
		admin.publishAll("open/a", "open/b") // by the subscription that was stored
		joe.want("open/b")
		z.Set(f.options(""))
		admin.publishAll("open/a")
		joe.want("open/a")
	})
}

func TestRevokedRightsHoldForTheRetained(t *testing.T) {
	onBoth(t, func(t *testing.T, f *frontEnd, z *Authorizer, address string, admin *peer) {
		joe := dial(t, "tcp", address, named("joe"))
		joe.mustRetain("open/a")
		admin.mustRetain("open/c")
		for _, there := range []bool{true, false} { // joe, who is asked about
			for _, denied := range []string{"", f.denyA} {
				z.Set(f.options(denied))
				other := named("admin")
				other.ClientID = "reader"
				reader := dial(t, "tcp", address, other)
				reader.subscribe("open/#", 1)
				got := reader.received()
				slices.Sort(got)
				want := []string{"open/a", "open/c"}
				if denied != "" {
					want = want[1:]
				}
				if !slices.Equal(got, want) {
					t.Errorf("joe is there: %v, denied %q: %q came, want %q", there, denied, got, want)
				}
			}
			if there {
				joe.leave(&mqtt.Disconnect{})
			}
		}
	})
}

func TestRevokedRightsHoldForWills(t *testing.T) {
	onBoth(t, func(t *testing.T, f *frontEnd, z *Authorizer, address string, admin *peer) {
		admin.subscribe("open/#", 1)
		for _, denied := range []string{"", f.denyA} {
			z.Set(f.options(""))
			c := named("joe")
			c.Will = &mqtt.Will{Topic: "open/a", QoS: 1, Payload: []byte("x")}
			joe := dial(t, "tcp", address, c)
			z.Set(f.options(denied))
			joe.leave(&mqtt.Disconnect{Reason: mqtt.DisconnectWithWill})
			dial(t, "tcp", address, named("joe")).leave(&mqtt.Disconnect{}) // behind the end of the first
			if denied == "" {
				admin.want("open/a")
			} else {
				admin.want()
			}
		}
	})
}

// TestRulesRefuseSubscriptionsThatSeeMore is about what an ACL file cannot do.
func TestRulesRefuseSubscriptionsThatSeeMore(t *testing.T) {
	t.Parallel()
	z := New(Options{Rules: []*Rules{mustParseRules(t, "deny read topic=open/secret/#\nallow read topic=open/#\nallow connect user!=ghost\ndefault deny connect").Compile()}})
	address := serve(t, z)
	joe := dial(t, "tcp", address, named("joe"))
	for filter, want := range map[string]mqtt.ReasonCode{
		"open/a": mqtt.GrantedQoS1, "open/+": mqtt.NotAuthorized, "open/+/x": mqtt.NotAuthorized, "open/#": mqtt.NotAuthorized, "#": mqtt.NotAuthorized,
		"$share/g/open/#": mqtt.NotAuthorized, "$share/g/open/a": mqtt.GrantedQoS1, "open/secret": mqtt.NotAuthorized,
	} {
		joe.id++
		joe.send(&mqtt.Subscribe{PacketID: joe.id, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: 1}}})
		if ack, ok := joe.next().(*mqtt.Suback); !ok || ack.Reasons[0] != want {
			t.Errorf("%s: %+v, want %v", filter, ack, want)
		}
	}
	if _, code := try(t, "tcp", address, named("ghost")); code != mqtt.NotAuthorized {
		t.Errorf("ghost connects: %v", code)
	}
}
