package acl

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// mosquitto is one that runs with an ACL file.
type mosquitto struct {
	t       *testing.T
	socket  string
	admin   *peer
	clients map[string]*peer // by id
}

// adminRules are added to every file, for the one who publishes what others may read.
const adminRules = "\nuser admin\ntopic readwrite #\ntopic readwrite $x/#\ntopic readwrite $y/#\ntopic readwrite $x\n"

func startMosquitto(t *testing.T, path, rules string) *mosquitto {
	t.Helper()
	dir, err := os.MkdirTemp("", "unio-acl") // not TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &mosquitto{t: t, socket: filepath.Join(dir, "socket"), clients: map[string]*peer{}}
	file := filepath.Join(dir, "acl")
	if err := os.WriteFile(file, []byte(rules+adminRules), 0o600); err != nil {
		t.Fatal(err)
	}
	p := testenv.Mosquitto(t, path, "listener 0 "+m.socket, "allow_anonymous true", "acl_file "+file)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("mosquitto's log:\n%s\nwith rules:\n%s", p.Text(), rules)
		}
	})
	m.admin = m.connect(client("admin", "admin"))
	return m
}

func (m *mosquitto) connect(c *broker.Client) *peer {
	m.t.Helper()
	if p := m.clients[c.ID]; p != nil && p.client.Username == c.Username && p.client.HasUsername == c.HasUsername {
		return p
	}
	p := dial(m.t, "unix", m.socket, &mqtt.Connect{
		Version: mqtt.V5, CleanStart: true, ClientID: c.ID, HasUsername: c.HasUsername, Username: c.Username,
	})
	p.client = c
	m.clients[c.ID] = p // another user's with this id has lost its connection by that
	return p
}

// mayWrite asks Mosquitto whether the client may publish to the topic.
func (m *mosquitto) mayWrite(c *broker.Client, name string) bool {
	m.t.Helper()
	return m.connect(c).publish(name) != mqtt.NotAuthorized
}

// mayRead asks Mosquitto whether the client gets messages of the topic.
func (m *mosquitto) mayRead(c *broker.Client, name string) bool {
	m.t.Helper()
	p := m.connect(c)
	p.subscribe(name, 0)
	if reason := m.admin.publish(name); reason != mqtt.Success {
		m.t.Fatalf("admin may not publish to %q: %v", name, reason)
	}
	got := len(p.received()) > 0
	p.id++
	p.send(&mqtt.Unsubscribe{PacketID: p.id, Filters: []string{name}})
	if ack, ok := p.next().(*mqtt.Unsuback); !ok {
		m.t.Fatalf("unsubscribe from %q: %+v", name, ack)
	}
	return got
}

func (m *mosquitto) compare(rules *Authorizer, text string, c *broker.Client, name string) {
	m.t.Helper()
	for action, theirs := range map[broker.Action]bool{
		broker.ActionPublish: m.mayWrite(c, name),
		broker.ActionReceive: m.mayRead(c, name),
	} {
		ours, why := rules.Explain(broker.Access{Client: c, Action: action, Topic: []byte(name)})
		if ours != theirs {
			m.t.Errorf("user %q (%v), client %q, action %d on %q: mosquitto says %v, Unio %v by %q, with rules:\n%s",
				c.Username, c.HasUsername, c.ID, action, name, theirs, ours, &why[0], text)
		}
	}
}

func TestMosquittoDecidesTheSame(t *testing.T) {
	t.Parallel()
	path := testenv.Program(t, "mosquitto", "mosquitto")
	for _, d := range decisions {
		if d.differs {
			continue
		}
		m := startMosquitto(t, path, d.rules)
		rules := New(Options{Rules: []*Rules{mustParse(t, d.rules).Compile()}})
		for _, q := range d.asks {
			m.compare(rules, d.rules, client(q.user, q.id), q.topic)
		}
	}
}

func TestMosquittoDecidesTheSameByRandomRules(t *testing.T) {
	t.Parallel()
	path := testenv.Program(t, "mosquitto", "mosquitto")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	users, ids := []string{"-", "a", "b", "joe"}, []string{"c", "x", "a#", "b"}
	for range 12 {
		text := randomRules(r, true)
		m := startMosquitto(t, path, text)
		rules := New(Options{Rules: []*Rules{mustParse(t, text).Compile()}})
		for range 40 {
			m.compare(rules, text, client(users[r.IntN(len(users))], ids[r.IntN(len(ids))]), randomName(r))
		}
	}
}
