package dynsec_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/dynsec"
)

// empty is a file with nothing but who may change it.
const empty = `{"clients": [{"username": "admin"}], "groups": [], "roles": []}`

// bench is a Security with a file.
type bench struct {
	*dynsec.Security
	t       testing.TB
	path    string
	clients []*broker.Client // that are connected
	kicked  []string         // by client id
	changes int
}

func open(t testing.TB, text string) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "dynsec.json")}
	b.write(text)
	var err error
	b.Security, _, err = dynsec.Open(b.options())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) options() dynsec.Options {
	return dynsec.Options{
		Path: b.path, Changed: func() { b.changes++ }, Clients: func() []*broker.Client { return b.clients },
		Disconnect: func(c *broker.Client, _ error) { b.kicked = append(b.kicked, c.ID) },
	}
}

func (b *bench) write(text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read() string {
	b.t.Helper()
	text, err := os.ReadFile(b.path)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// admin is who sends commands.
var admin = &broker.Client{ID: "ctrl", Username: "admin", HasUsername: true}

// request sends commands, each as it stands between the brackets of the list, and returns the answers in the same way.
func (b *bench) request(commands string) string {
	b.t.Helper()
	response, then := b.Handle(admin, []byte(`{"commands":[`+commands+`]}`))
	if then != nil {
		if err := then(); err != nil {
			b.kicked = append(b.kicked, "the one who asked")
		}
	}
	var whole struct{ Responses json.RawMessage }
	if err := json.Unmarshal(response, &whole); err != nil {
		b.t.Fatalf("%s: %v", response, err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(string(whole.Responses), "["), "]")
}

// do sends commands that must succeed. Each is a name and pairs of keys and JSON values.
func (b *bench) do(commands ...string) {
	b.t.Helper()
	for _, c := range commands {
		if answer := b.request(command(c)); strings.Contains(answer, `"error"`) {
			b.t.Fatalf("%s: %s", c, answer)
		}
	}
}

// command turns "name key=value key=value" into JSON; values that begin with [, { or a digit, and true and false, are JSON.
func command(text string) string {
	words := strings.Fields(text)
	m := map[string]any{"command": words[0]}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		m[k] = v
		if strings.ContainsAny(v[:min(1, len(v))], "[{-0123456789") || v == "true" || v == "false" {
			m[k] = json.RawMessage(v)
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func user(name, id string) *broker.Client {
	return &broker.Client{ID: id, Username: name, HasUsername: true}
}

// ask asks the rules in force. What is "ACTION TOPIC", or "ACTION $share/GROUP/TOPIC".
func (b *bench) ask(c *broker.Client, what string) (bool, string) {
	b.t.Helper()
	word, topic, _ := strings.Cut(what, " ")
	action, ok := acl.ParseAction(word)
	if !ok {
		b.t.Fatalf("action %q", word)
	}
	q := broker.Access{Client: c, Action: action}
	if rest, shared := strings.CutPrefix(topic, "$share/"); shared {
		q.Share, topic, _ = strings.Cut(rest, "/")
	}
	q.Topic = []byte(topic)
	e := b.Rules().Explain(q)
	if allowed := b.Rules().Authorize(q); allowed != e.Allow {
		b.t.Errorf("%s: allowed is %v, explained as %v", what, allowed, e.Allow)
	}
	return e.Allow, e.String()
}

func (b *bench) allows(c *broker.Client, questions ...string) {
	b.t.Helper()
	for _, q := range questions {
		if ok, why := b.ask(c, q); !ok {
			b.t.Errorf("%s is denied to %q: %s", q, c.Username, why)
		}
	}
}

func (b *bench) denies(c *broker.Client, questions ...string) {
	b.t.Helper()
	for _, q := range questions {
		if ok, why := b.ask(c, q); ok {
			b.t.Errorf("%s is allowed to %q: %s", q, c.Username, why)
		}
	}
}

func (b *bench) check(c *broker.Client, password string, want auth.Verdict) auth.Answer {
	b.t.Helper()
	answer, err := b.Check(context.Background(), c, []byte(password))
	if err != nil || answer.Verdict != want {
		b.t.Errorf("%q, %q with %q: %+v, %v, want verdict %d", c.Username, c.ID, password, answer, err, want)
	}
	return answer
}

// wasKicked checks who was, and forgets.
func (b *bench) wasKicked(ids ...string) {
	b.t.Helper()
	slices.Sort(b.kicked)
	if !slices.Equal(b.kicked, ids) {
		b.t.Errorf("disconnected: %q, want %q", b.kicked, ids)
	}
	b.kicked = nil
}
