package auth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// fake is a backend that knows some users.
type fake struct {
	name   string
	users  map[string]Answer
	err    error
	asked  int
	closed atomic.Int32
	take   time.Duration
}

func (f *fake) Name() string { return f.name }

func (f *fake) Check(ctx context.Context, r *Request) (Answer, error) {
	f.asked++
	if f.take > 0 {
		Pause(ctx, f.take, nil)
		if ctx.Err() != nil {
			return Answer{}, errors.New("interrupted")
		}
	}
	if f.err != nil {
		return Answer{}, f.err
	}
	if a, ok := f.users[r.Client.Username]; ok {
		return a, nil
	}
	return Unknown("unknown"), nil
}

func (f *fake) Close() error {
	f.closed.Add(1)
	return nil
}

func (f *fake) Recheck(_ context.Context, c *broker.Client, _ any) (bool, error) {
	_, ok := f.users[c.Username]
	return ok, f.err
}

func TestChainAsksInOrderUntilOneDecides(t *testing.T) {
	t.Parallel()
	yes, no := Answer{Verdict: Allow, Reason: "yes"}, Denied("no")
	for _, c := range []struct {
		name   string
		chain  []*fake
		client *broker.Client
		want   error
		said   string
	}{
		{"the first allows", []*fake{{name: "a", users: map[string]Answer{"joe": yes}}, {name: "b", err: errors.New("down")}}, named("joe"), nil, "a: yes"},
		{"the first denies", []*fake{{name: "a", users: map[string]Answer{"joe": no}}, {name: "b", users: map[string]Answer{"joe": yes}}}, named("joe"), mqtt.NotAuthorized, "a: no"},
		{"the second knows", []*fake{{name: "a"}, {name: "b", users: map[string]Answer{"joe": yes}}}, named("joe"), nil, "a: unknown; b: yes"},
		{"nobody knows", []*fake{{name: "a"}, {name: "b"}}, named("joe"), mqtt.NotAuthorized, "a: unknown; b: unknown; chain: nobody knows the user"},
		{"an error closes", []*fake{{name: "a", err: errors.New("down")}, {name: "b", users: map[string]Answer{"joe": yes}}}, named("joe"), mqtt.ServerUnavailable, "a: down"},
		{"an error with a code", []*fake{{name: "a", err: mqtt.ServerBusy}}, named("joe"), mqtt.ServerBusy, "a: server busy (0x89)"},
		{"no name, nobody minds", []*fake{{name: "a"}}, &broker.Client{}, nil, "a: unknown; : allow_anonymous"},
		{"no name, one minds", []*fake{{name: "a", users: map[string]Answer{"": no}}}, &broker.Client{}, mqtt.NotAuthorized, "a: no"},
		{"what has expired", []*fake{{name: "a", users: map[string]Answer{"joe": {Verdict: Allow, Expires: time.Unix(1, 0)}}}}, named("joe"), mqtt.NotAuthorized, "a: expired"},
		{"another name", []*fake{{name: "a", users: map[string]Answer{"joe": {Verdict: Allow, Reason: "yes", Username: "ann"}}}}, named("joe"), mqtt.NotAuthorized, "a: yes; chain: the user name is not the one that was proved"},
	} {
		var chain []Backend
		for _, f := range c.chain {
			chain = append(chain, f)
		}
		var decided *Decision
		a := New(Options{Listener: Listener{Chain: chain}, Decided: func(_ *broker.Client, d *Decision) { decided = d }})
		err := a.Authenticate(t.Context(), c.client, []byte("x"))
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || decided.String() != c.said {
			t.Errorf("%s: %v, %s; want %v, %s", c.name, err, decided, c.want, c.said)
		}
		if err == nil && !a.Valid(c.client) {
			t.Errorf("%s: accepted and not valid", c.name)
		}
	}
}

func TestTransportAuthenticates(t *testing.T) {
	t.Parallel()
	client := func() *broker.Client {
		c := named("joe")
		c.Transport = &broker.Transport{Username: "joe"}
		return c
	}
	a := New(Options{Listener: Listener{Passwords: passwords(t, "ann"), RefuseAnonymous: true}})
	c := client()
	if err := a.Authenticate(t.Context(), c, nil); err != nil || !a.Valid(c) {
		t.Errorf("a name of a certificate: %v, valid %v", err, a.Valid(c))
	}
	c = client()
	c.Transport.Username = "" // a certificate that is only verified
	if err := a.Authenticate(t.Context(), c, nil); err == nil {
		t.Error("a certificate without use_identity_as_username is enough")
	}
	a.Set(Options{Listener: Listener{Chain: []Backend{PasswordFile(passwords(t, "joe"), NewGate())}}})
	c = client()
	if err := a.Authenticate(t.Context(), c, []byte("wrong")); err == nil {
		t.Error("a chain without transport accepts a certificate in place of a password")
	}
	if err := a.Authenticate(t.Context(), c, []byte("JOE")); err != nil || !a.Valid(c) {
		t.Errorf("the password: %v", err)
	}
}

func TestAnswerDescribesTheClient(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(time.Hour)
	f := &fake{name: "f", users: map[string]Answer{"": {Verdict: Allow, Username: "joe", Attributes: map[string][]string{"groups": {"g"}, "roles": {"r"}, "site": {"x"}}, Expires: end}}}
	a := New(Options{Listener: Listener{Chain: []Backend{f}}})
	c := &broker.Client{}
	if err := a.Authenticate(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.Attributes)
	if c.Username != "joe" || !c.HasUsername || got != "map[group:[g] role:[r] site:[x]]" || !c.Expires.Equal(end) {
		t.Errorf("the client is %+v", c)
	}
}

func TestReplacedBackendsAreClosedOnceWhenNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kept, gone := &fake{name: "kept"}, &fake{name: "gone", take: time.Minute}
		remote := func(f *fake) Backend { return Remote(f, RemoteOptions{Timeout: time.Hour}) }
		a := New(Options{
			Listener:  Listener{Chain: []Backend{remote(kept), remote(gone)}},
			Listeners: map[string]Listener{"l": {Chain: []Backend{remote(gone)}}},
		})
		done := make(chan error)
		go func() { done <- a.Authenticate(t.Context(), named("joe"), nil) }()
		synctest.Wait()
		a.Set(Options{Listener: Listener{Chain: []Backend{remote(kept)}}})
		synctest.Wait()
		if gone.closed.Load() != 0 {
			t.Error("a backend is closed while it is asked")
		}
		if err := <-done; err == nil {
			t.Error("nobody knows joe, and he is let in")
		}
		a.Close()
		if gone.closed.Load() != 1 || kept.closed.Load() != 1 {
			t.Errorf("closed %d and %d times, want once each", gone.closed.Load(), kept.closed.Load())
		}
	})
}

func TestRecheckAsksTheBackendThatLetTheClientIn(t *testing.T) {
	t.Parallel()
	f := &fake{name: "f", users: map[string]Answer{"joe": {Verdict: Allow}}}
	a := New(Options{Listener: Listener{Chain: []Backend{Remote(f, RemoteOptions{})}}})
	c := named("joe")
	if err := a.Authenticate(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	if ok, err := a.Recheck(t.Context(), c); !ok || err != nil {
		t.Errorf("rechecked %v, %v", ok, err)
	}
	if err := a.Revalidate(t.Context(), c); err != nil {
		t.Errorf("revalidated: %v", err)
	}
	delete(f.users, "joe")
	if ok, err := a.Recheck(t.Context(), c); ok || err != nil {
		t.Errorf("rechecked %v, %v, and the user is gone", ok, err)
	}
	if err := a.Revalidate(t.Context(), c); !errors.Is(err, mqtt.NotAuthorized) {
		t.Errorf("revalidated: %v, and the user is gone", err)
	}
	a.Set(Options{Listener: Listener{Chain: []Backend{&fake{name: "another"}}}})
	if a.Valid(c) {
		t.Error("valid without the backend that let the client in")
	}
}

func TestAnswersAreRememberedForATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "f", users: map[string]Answer{
			"joe": {Verdict: Allow}, "ann": Denied("no"), "soon": {Verdict: Allow, Expires: time.Now().Add(5 * time.Second)},
		}}
		b := Remote(f, RemoteOptions{CacheSize: 2, CacheTime: time.Minute, CacheTimeFailed: 10 * time.Second})
		ask := func(user, password string, want Verdict, asked bool) {
			t.Helper()
			before := f.asked
			a, err := b.Check(t.Context(), &Request{named(user), []byte(password)})
			if err != nil || a.Verdict != want || (f.asked > before) != asked {
				t.Errorf("%s: %v, %v, asked %v; want %v, asked %v", user, a.Verdict, err, f.asked > before, want, asked)
			}
		}
		ask("joe", "x", Allow, true)
		ask("joe", "x", Allow, false)
		ask("joe", "y", Allow, true) // another password, another question
		ask("joe", "x", Allow, false)
		ask("ann", "x", Deny, true)
		for _, user := range []string{"u1", "u2", "u3"} { // more than are remembered
			ask(user, "x", NotMine, true)
		}
		ask("joe", "x", Allow, false)
		ask("ann", "x", Deny, true)
		time.Sleep(10 * time.Second)
		ask("ann", "x", Deny, true)
		ask("joe", "x", Allow, false)
		time.Sleep(time.Minute)
		ask("joe", "x", Allow, true)
		f.users["soon"] = Answer{Verdict: Allow, Expires: time.Now().Add(5 * time.Second)}
		ask("soon", "x", Allow, true)
		ask("soon", "x", Allow, false)
		time.Sleep(5 * time.Second)
		ask("soon", "x", Allow, true)
		f.err = errors.New("down")
		f.users["late"] = Answer{Verdict: Allow}
		if _, err := b.Check(t.Context(), &Request{named("late"), nil}); err == nil {
			t.Error("no error")
		}
		f.err = nil
		b2, err := b.Check(t.Context(), &Request{named("late"), nil})
		if err != nil || b2.Verdict != Allow {
			t.Error("an error was remembered")
		}
	})
}

func TestSlowBackendIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := Remote(&fake{name: "f", take: time.Hour}, RemoteOptions{Timeout: 3 * time.Second})
		start := time.Now()
		_, err := b.Check(t.Context(), &Request{named("joe"), nil})
		if err == nil || !strings.Contains(err.Error(), "no answer within 3s") || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// steps is an exchange of two steps that proves a name.
type steps struct {
	*fake
	proves string
}

type stepsExchange struct {
	proves string
	n      int
}

func (s steps) Exchange(_ context.Context, _ *broker.Client, method string) Exchange {
	if method != "STEPS" {
		return nil
	}
	return &stepsExchange{proves: s.proves}
}

func (x *stepsExchange) Next(_ context.Context, data []byte) ([]byte, *Answer, error) {
	if x.n++; x.n < 2 {
		return []byte("more"), nil, nil
	}
	if string(data) != "right" {
		a := Denied("wrong")
		return nil, &a, nil
	}
	return []byte("last"), &Answer{Verdict: Allow, Username: x.proves}, nil
}

func TestExchangeProvesAName(t *testing.T) {
	t.Parallel()
	s := steps{&fake{name: "steps"}, "joe"}
	a := New(Options{Listener: Listener{Chain: []Backend{&fake{name: "other"}, &s}, RefuseAnonymous: true}})
	c := &broker.Client{}
	run := func(answer string) error {
		t.Helper()
		x, err := a.Exchange(t.Context(), c, "STEPS")
		if err != nil {
			t.Fatal(err)
		}
		if reply, done, err := x.Next(t.Context(), nil); string(reply) != "more" || done || err != nil {
			t.Fatalf("first step: %q, %v, %v", reply, done, err)
		}
		_, done, err := x.Next(t.Context(), []byte(answer))
		if done == false {
			t.Error("the exchange goes on")
		}
		return err
	}
	if err := run("wrong"); !errors.Is(err, mqtt.NotAuthorized) || c.Username != "" {
		t.Errorf("a wrong answer: %v, user %q", err, c.Username)
	}
	if err := run("right"); err != nil || c.Username != "joe" || !a.Valid(c) {
		t.Errorf("a right answer: %v, user %q", err, c.Username)
	}
	if err := run("right"); err != nil {
		t.Errorf("again: %v", err)
	}
	s.proves = "ann"
	if err := run("right"); !errors.Is(err, mqtt.NotAuthorized) || c.Username != "joe" {
		t.Errorf("again, as somebody else: %v, user %q", err, c.Username)
	}
	if _, err := a.Exchange(t.Context(), c, "OTHER"); !errors.Is(err, mqtt.BadAuthenticationMethod) {
		t.Errorf("an unknown method: %v", err)
	}
}

// recorder is a Guard.
type recorder struct {
	banned bool
	delay  time.Duration
	calls  []string
	logins []Login
}

func (r *recorder) Banned(Login) bool { return r.banned }

func (r *recorder) Failed(l Login) time.Duration {
	r.calls, r.logins = append(r.calls, "failed "+l.User+" "+l.Address.String()), append(r.logins, l)
	return r.delay
}

func (r *recorder) Succeeded(l Login) { r.calls = append(r.calls, "succeeded "+l.User) }

func TestGuardHearsOfLoginsAndHoldsThemUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &recorder{delay: 2 * time.Second}
		f := &fake{name: "f", users: map[string]Answer{"joe": {Verdict: Allow}, "ann": Denied("no")}}
		a := New(Options{Listener: Listener{Chain: []Backend{f}}, Guard: g})
		ann := named("ann")
		ann.RemoteAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}
		start := time.Now()
		_ = a.Authenticate(t.Context(), ann, []byte("x"))
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("the answer to a failure took %v", took)
		}
		_ = a.Authenticate(t.Context(), ann, []byte("x"))
		_ = a.Authenticate(t.Context(), ann, []byte("y"))
		_ = a.Authenticate(t.Context(), named("joe"), []byte("x"))
		_ = a.Authenticate(t.Context(), &broker.Client{}, nil)
		f.err = errors.New("down")
		_ = a.Authenticate(t.Context(), ann, []byte("x"))
		want := "failed ann 192.0.2.1, failed ann 192.0.2.1, failed ann 192.0.2.1, succeeded joe"
		if got := strings.Join(g.calls, ", "); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		if g.logins[0].Credential != g.logins[1].Credential || g.logins[0].Credential == g.logins[2].Credential {
			t.Error("credentials do not stand for passwords")
		}
		g.banned, f.asked = true, 0
		if err := a.Authenticate(t.Context(), named("joe"), []byte("x")); !errors.Is(err, mqtt.Banned) || f.asked != 0 {
			t.Errorf("a banned client: %v, asked %d", err, f.asked)
		}
	})
}

func TestHashesOfOtherProgramsAreVerified(t *testing.T) {
	t.Parallel()
	hash := func(password string) string {
		text, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	long := strings.Repeat("x", 72)
	for _, c := range []struct {
		hashed, password string
		want             bool
	}{{"x", "x", true}, {"x", "y", false}, {"x", "x\x00x", false}, {"x", "", false}, {"", "", false}, {long, long, true}, {long, long + "y", false}} {
		h, err := ParseForeignHash(hash(c.hashed))
		if err != nil || h.Matches([]byte(c.password)) != c.want {
			t.Errorf("%q matches the hash of %q: %v, want %v; %v", c.password, c.hashed, !c.want, c.want, err)
		}
	}
	sample := hash("x")
	for text, want := range map[string]string{
		"secret": "not plain text", "$2b$": "expected $2b$COST$", strings.Replace(sample, "$04$", "$31$", 1): "a cost of at most 16", "$7$x": "expected $7$",
	} {
		if _, err := ParseForeignHash(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	for _, text := range []string{sample, cheap(t, "x").String()} {
		h, err := ParseForeignHash(text)
		if err != nil || h.String() != text {
			t.Fatalf("%v, %v", h, err)
		}
		var d Decoy
		d.Like(h)
		if decoy := d.Hash(); decoy.params != h.params || decoy.Matches([]byte("x")) {
			t.Errorf("the decoy of %s is %s", h, decoy)
		}
	}
}

func TestTemplateFillsInWhatTheClientTold(t *testing.T) {
	t.Parallel()
	c := named("joe")
	c.RemoteAddr = &net.TCPAddr{IP: net.ParseIP("2001:db8::1")}
	tpl, err := ParseTemplate("a%u%%%c-%p %a", "ucpa")
	if err != nil {
		t.Fatal(err)
	}
	if got := tpl.Expand(func(l byte) string { return ValueOf(l, c, []byte("%u")) }); got != "ajoe%c-%u 2001:db8::1" {
		t.Errorf("expanded to %q", got)
	}
	for _, text := range []string{"%", "%x", "a%"} {
		if _, err := ParseTemplate(text, "u"); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
