package redis

import (
	"context"
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/redis/rueidis"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/servers"
)

func backend(t *testing.T, o Options) *Backend {
	t.Helper()
	o.Gate = auth.NewGate()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func client(user string) *broker.Client {
	return &broker.Client{ID: "c", Username: user, HasUsername: true}
}

func TestClientsAreLookedUpInRedis(t *testing.T) {
	t.Parallel()
	address := servers.Redis(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{u.Host}, Password: servers.Password, ForceSingleClient: true, DisableCache: true, SelectDB: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(args ...string) {
		t.Helper()
		if err := db.Do(t.Context(), db.B().Arbitrary(args...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := auth.NewHash(auth.PBKDF2, 10, []byte("JOE"))
	if err != nil {
		t.Fatal(err)
	}
	do("HSET", "u:joe", "hash", hash.String(), "groups", "ops, staff", "site", "x")
	do("HSET", "u:plain", "hash", "PLAIN")
	do("SET", "u:text", "x")
	o := Options{URL: address + "/3", Password: servers.Password, Key: "u:%u", Field: "hash", Attributes: []string{"groups", "site", "none"}}
	b := backend(t, o)
	check := func(b *Backend, user, password string) (auth.Answer, error) {
		return b.Check(t.Context(), &auth.Request{Client: client(user), Password: []byte(password)})
	}
	for _, c := range []struct {
		user, password string
		want           auth.Verdict
	}{
		{"joe", "JOE", auth.Allow}, {"joe", "joe", auth.Deny}, {"bob", "x", auth.NotMine}, {"", "x", auth.NotMine}, {"joe\r\nDEL u:joe", "JOE", auth.NotMine}, {"*", "JOE", auth.NotMine},
	} {
		if a, err := check(b, c.user, c.password); err != nil || a.Verdict != c.want {
			t.Errorf("%q, %s: %v, %v; want %v", c.user, c.password, a.Verdict, err, c.want)
		}
	}
	for _, user := range []string{"plain", "text"} {
		if a, err := check(b, user, "PLAIN"); err == nil || strings.Contains(err.Error(), "PLAIN") {
			t.Errorf("%s: %v, %v", user, a.Verdict, err)
		}
	}
	a, err := check(b, "joe", "JOE")
	if got, _ := json.Marshal(a.Attributes); err != nil || string(got) != `{"groups":["ops","staff"],"site":["x"]}` {
		t.Errorf("attributes %s, %v", got, err)
	}
	var done sync.WaitGroup
	for range 50 {
		done.Go(func() {
			if a, err := check(b, "joe", "JOE"); err != nil || a.Verdict != auth.Allow {
				t.Errorf("one of many: %v, %v", a.Verdict, err)
			}
		})
	}
	done.Wait()
	for _, change := range []struct {
		command []string
		want    bool
	}{{[]string{"HSET", "u:joe", "site", "y"}, true}, {[]string{"HSET", "u:joe", "hash", "x"}, false}, {[]string{"DEL", "u:joe"}, false}} {
		do(change.command...)
		if ok, err := b.Recheck(t.Context(), client("joe"), a.Proof); ok != change.want || err != nil {
			t.Errorf("recheck after %q: %v, %v; want %v", change.command, ok, err, change.want)
		}
	}
	o.Password = "guess"
	if a, err := check(backend(t, o), "joe", "JOE"); err == nil || strings.Contains(err.Error(), "guess") {
		t.Errorf("with a wrong password for Redis: %v, %v", a.Verdict, err)
	}
}

func TestServerThatIsDownIsAnError(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	b := backend(t, Options{URL: "redis://" + address})
	if a, err := b.Check(t.Context(), &auth.Request{Client: client("joe"), Password: []byte("x")}); err == nil {
		t.Errorf("answer %v", a.Verdict)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.lock <- struct{}{} // somebody is connecting
	if a, err := b.Check(ctx, &auth.Request{Client: client("joe"), Password: []byte("x")}); err == nil {
		t.Errorf("answer %v", a.Verdict)
	}
	<-b.lock
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{}, {URL: "http://h"}, {URL: "redis://u:p@h"}, {URL: "redis://h/x"}, {URL: "redis://h", Key: "users"}, {URL: "redis://h", Key: "%p"}, {URL: "rediss://h", CA: []byte("x")},
	} {
		if b, err := New(o); err == nil {
			t.Errorf("%+v is accepted: %v", o, b)
		}
	}
}
