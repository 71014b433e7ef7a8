package broker_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
	"github.com/uniomq/unio/topic"
)

// resumed is stored, with the session that there is.
func resumed(id string) mqtt.Connect {
	p := stored(id)
	p.CleanStart = false
	return p
}

// TestAnotherMountPointIsAnotherSession has one client id at two tenants, at a listener without
// mount point, and at a second listener of the first tenant.
func TestAnotherMountPointIsAnotherSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, plain := serve(t, broker.Options{})
		one := listenWith(t, b, broker.ListenerOptions{Name: "one", MountPoint: "one/"})
		again := listenWith(t, b, broker.ListenerOptions{Name: "again", MountPoint: "one/"})
		two := listenWith(t, b, broker.ListenerOptions{Name: "two", MountPoint: "two/"})
		watcher, _ := connect(t, plain, clean("watcher"))
		watcher.subscribe("+/will")

		p := resumed("c")
		p.Will = &mqtt.Will{Topic: "will", Payload: []byte("one")}
		first, _ := connect(t, one, p)
		first.subscribe("t")
		second, ack := connect(t, two, resumed("c"))
		if ack.SessionPresent {
			t.Error("the second tenant resumed the first one's session")
		}
		third, ack := connect(t, plain, resumed("c"))
		if ack.SessionPresent {
			t.Error("without mount point the first tenant's session was resumed")
		}
		first.subscribe("u") // it is still there
		watcher.quiet()      // and its will was not published
		if n := b.Stats(); n.Connections != 4 || n.Sessions != 4 {
			t.Errorf("%d clients and %d sessions, want 4", n.Connections, n.Sessions)
		}

		first.send(&mqtt.Disconnect{})
		synctest.Wait()
		pub, _ := connect(t, again, clean("pub"))
		accepted(t, pub, "t", "for one")
		second.quiet()
		third.quiet()
		first, ack = connect(t, again, resumed("c"))
		if !ack.SessionPresent {
			t.Error("another listener with the same mount point has another session")
		}
		if m := first.message(); string(m.Topic) != "t" || string(m.Payload) != "for one" {
			t.Errorf("the first tenant got %q on %s", m.Payload, m.Topic)
		}
		second.subscribe("x") // cleaning one leaves the others
		if _, ack := connect(t, one, clean("c")); ack.Reason != mqtt.Success {
			t.Error(ack.Reason)
		}
		if got := subscriptions(b); len(got) != 2 || got[0] != "c two/x" {
			t.Errorf("subscriptions %q", got)
		}
	})
}

// TestDisconnectKnowsMountPoints ends one connection of three, and then all that have the client
// id.
func TestDisconnectKnowsMountPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, plain := serve(t, broker.Options{})
		one := listenWith(t, b, broker.ListenerOptions{Name: "one", MountPoint: "one/"})
		two := listenWith(t, b, broker.ListenerOptions{Name: "two", MountPoint: "two/"})
		first, _ := connect(t, one, clean("c"))
		second, _ := connect(t, two, clean("c"))
		third, _ := connect(t, plain, clean("c"))
		for _, client := range b.Clients() {
			if client.Listener == "two" && !b.DisconnectClient(client, mqtt.AdministrativeAction) {
				t.Error("the second one was not found")
			}
		}
		if d, ok := second.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.AdministrativeAction {
			t.Errorf("the second one got %+v", d)
		}
		first.subscribe("t") // they are still there
		third.subscribe("t")
		if !b.Disconnect("c", mqtt.AdministrativeAction) {
			t.Error("nobody was found")
		}
		for _, c := range []*client{first, third} {
			if d, ok := c.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.AdministrativeAction {
				t.Errorf("got %+v", d)
			}
		}
		synctest.Wait()
		if b.Disconnect("c", mqtt.AdministrativeAction) {
			t.Error("somebody was found when all had gone")
		}
	})
}

// TestUserNamesAsClientIDsUnderMountPoints are sessions apart, too, and no name reaches into
// another mount point.
func TestUserNamesAsClientIDsUnderMountPoints(t *testing.T) {
	b, _ := serve(t, broker.Options{})
	o := broker.ListenerOptions{UsernameAsClientID: true}
	plain := listenWith(t, b, o)
	o.MountPoint = "one/"
	one := listenWith(t, b, o)
	p := stored("")
	p.Username, p.HasUsername = "name", true
	if _, ack := connect(t, one, p); ack.Reason != mqtt.Success {
		t.Fatal(ack.Reason)
	}
	if _, ack := connect(t, plain, p); ack.Reason != mqtt.Success || ack.SessionPresent {
		t.Errorf("the same name without mount point: %v, present %v", ack.Reason, ack.SessionPresent)
	}
	if n := b.Stats().Sessions; n != 2 {
		t.Errorf("%d sessions", n)
	}
}

// TestNoLocalKnowsMountPoints has a client subscribe to what another tenant's client with the same
// id has retained.
func TestNoLocalKnowsMountPoints(t *testing.T) {
	b, plain := serve(t, broker.Options{})
	one := listenWith(t, b, broker.ListenerOptions{Name: "one", MountPoint: "one/"})
	tenant, _ := connect(t, one, clean("c"))
	tenant.send(&mqtt.Publish{Topic: []byte("t"), Payload: []byte("x"), QoS: 1, PacketID: 1, Retain: true})
	if a, ok := tenant.read().(*mqtt.Ack); !ok || a.Reason.Failed() {
		t.Fatalf("got %+v", a)
	}
	all, _ := connect(t, plain, clean("c"))
	all.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "one/#", Options: 1 << 2}}})
	if _, ok := all.read().(*mqtt.Suback); !ok {
		t.Fatal("no SUBACK")
	}
	if m := all.message(); string(m.Topic) != "one/t" {
		t.Errorf("got %s", m.Topic)
	}
	tenant.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "#", Options: 1 << 2}}})
	if _, ok := tenant.read().(*mqtt.Suback); !ok {
		t.Fatal("no SUBACK")
	}
	tenant.quiet() // its own
}

// remembering is a store that recovers what was put into another one before.
type remembering struct {
	store.Store
	sessions []store.Session
}

// Start implements store.Store.
func (r *remembering) Start(wake func([]any), to store.Recovery) error {
	for _, s := range r.sessions {
		if err := to.Session(s); err != nil {
			return err
		}
	}
	return r.Store.Start(wake, to)
}

// TestRecoveredSessionsKeepTheirMountPoints restarts with a session for each of two mount points,
// one of them none.
func TestRecoveredSessionsKeepTheirMountPoints(t *testing.T) {
	r := &remembering{Store: memory.New()}
	for _, point := range []string{"", "one/"} {
		a := store.Attach{ClientID: "c", MountPoint: point, Keep: true, Expiry: store.ExpiryNever, Now: time.Now()}
		r.Attach(t.Context(), a, func(at store.Attached, _ error) {
			r.sessions = append(r.sessions, store.Session{
				Ref: at.Ref, ClientID: "c", MountPoint: point, Expiry: store.ExpiryNever,
				Subscriptions: []store.Subscription{{Filter: point + "t", Options: 1}},
			})
		})
	}
	b, plain := serve(t, broker.Options{Store: r})
	one := listenWith(t, b, broker.ListenerOptions{Name: "one", MountPoint: "one/"})
	two := listenWith(t, b, broker.ListenerOptions{Name: "two", MountPoint: "two/"})
	tenant, ack := connect(t, one, resumed("c"))
	if !ack.SessionPresent {
		t.Error("the session of the mount point was not found")
	}
	if _, ack := connect(t, plain, resumed("c")); !ack.SessionPresent {
		t.Error("the session without mount point was not found")
	}
	if _, ack := connect(t, two, resumed("c")); ack.SessionPresent {
		t.Error("a session was found that there never was")
	}
	pub, _ := connect(t, one, clean("pub"))
	accepted(t, pub, "t", "x")
	if m := tenant.message(); string(m.Topic) != "t" {
		t.Errorf("got %s", m.Topic)
	}
}

// TestAMountPointTakesNoLevels has names and filters of as many levels as may be behind a mount
// point, and of one more.
func TestAMountPointTakesNoLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := serve(t, broker.Options{})
		mounted := listenWith(t, b, broker.ListenerOptions{Name: "mounted", MountPoint: "a/tenant/"})
		most := strings.Repeat("/", topic.MaxLevels-1)
		c, _ := connect(t, mounted, clean("c"))
		for filter, want := range map[string]mqtt.ReasonCode{
			most: 1, "$share/g/" + most: 1, most + "/": mqtt.TopicFilterInvalid, "$share/g/" + most + "/": mqtt.TopicFilterInvalid,
		} {
			c.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: 1}}})
			if p, ok := c.read().(*mqtt.Suback); !ok || p.Reasons[0] != want {
				t.Errorf("a filter of %d levels: %+v, want %v", topic.Levels(filter), p, want)
			}
		}
		c.send(&mqtt.Publish{Topic: []byte(most)}, &mqtt.Pingreq{})
		if p, ok := c.read().(*mqtt.Publish); !ok || string(p.Topic) != most {
			t.Errorf("a name of as many levels: %+v", p)
		}
	})
}
