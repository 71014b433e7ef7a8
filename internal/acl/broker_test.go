package acl

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// serve starts a broker with these rules and returns its address.
func serve(t *testing.T, z *Authorizer) string {
	t.Helper()
	b, err := broker.New(broker.Options{Authorizer: z})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

func named(user string) *mqtt.Connect {
	return &mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: user, HasUsername: true, Username: user}
}

// bypassRules let joe read and write below open, and admin everything.
const bypassRules = "user joe\ntopic readwrite open/#\nuser admin\ntopic readwrite #\n"

func TestNothingLeadsAroundTheRules(t *testing.T) {
	t.Parallel()
	address := serve(t, New(Options{Rules: []*Rules{mustParse(t, bypassRules).Compile()}}))
	admin := dial(t, "tcp", address, named("admin"))
	if code := admin.publishPacket(&mqtt.Publish{Topic: []byte("secret/retained"), Retain: true, Payload: []byte("x")}); code != mqtt.NoMatchingSubscribers {
		t.Fatal(code)
	}
	joe := dial(t, "tcp", address, named("joe"))

	joe.subscribe("#", 1)
	joe.subscribe("$share/g/+/shared", 1)
	joe.subscribe("secret/retained", 1)
	for _, name := range []string{"secret/a", "secret/shared", "open/a", "open"} {
		if code := admin.publish(name); code.Failed() {
			t.Fatalf("publish to %s: %v", name, code)
		}
	}
	if got, want := joe.received(), []string{"open/a", "open"}; !slices.Equal(got, want) {
		t.Errorf("joe receives %q, want %q", got, want)
	}

	if code := joe.publish("secret/b"); code != mqtt.NotAuthorized {
		t.Errorf("publishing is answered by %v", code)
	}
	aliased := &mqtt.Publish{Topic: []byte("secret/c")}
	aliased.Properties.SetTopicAlias(1)
	if code := joe.publishPacket(aliased); code != mqtt.NotAuthorized {
		t.Errorf("publishing with an alias is answered by %v", code)
	}
	aliased.Topic = nil
	if code := joe.publishPacket(aliased); code != mqtt.NotAuthorized {
		t.Errorf("publishing by the alias alone is answered by %v", code)
	}
	will := named("joe")
	will.ClientID, will.Will = "other", &mqtt.Will{Topic: "secret/d"}
	if _, code := try(t, "tcp", address, will); code != mqtt.NotAuthorized {
		t.Errorf("a will is answered by %v", code)
	}
	admin.subscribe("secret/#", 1)
	if got, want := admin.received(), []string{"secret/retained"}; !slices.Equal(got, want) {
		t.Errorf("admin receives %q, want %q", got, want)
	}
}

func TestRevokedRightsHoldForWhatWaits(t *testing.T) {
	t.Parallel()
	z := New(Options{Rules: []*Rules{mustParse(t, bypassRules).Compile()}})
	address := serve(t, z)
	session := named("joe")
	session.CleanStart = false
	session.Properties.SetSessionExpiry(3600)
	joe := dial(t, "tcp", address, session)
	joe.subscribe("open/#", 1)
	joe.send(&mqtt.Disconnect{})
	if _, err := joe.conn.Read(make([]byte, 1)); err == nil { // until the broker has closed it
		t.Fatal("the broker answers to DISCONNECT")
	}
	admin := dial(t, "tcp", address, named("admin"))
	for _, name := range []string{"open/a", "open/b"} {
		if code := admin.publish(name); code != mqtt.Success {
			t.Fatalf("publish to %s: %v", name, code)
		}
	}
	z.Set(Options{Rules: []*Rules{mustParse(t, bypassRules+"user joe\ntopic deny open/a\n").Compile()}})
	joe = dial(t, "tcp", address, session)
	if got, want := joe.received(), []string{"open/b"}; !slices.Equal(got, want) {
		t.Errorf("joe receives %q, want %q", got, want)
	}
}
