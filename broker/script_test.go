package broker_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/mqttscript"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
	"github.com/uniomq/unio/store/storetest"
)

// TestScripts runs every script of testdata in memory and in virtual time: once with the store that answers at once,
// and once with it made slow, so that acknowledgements wait as they do for a disk.
func TestScripts(t *testing.T) {
	scripts, err := mqttscript.Load(os.DirFS("../testdata"), "v3", "v5")
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) == 0 {
		t.Fatal("no scripts")
	}
	stores := map[string]func() store.Store{
		"memory": func() store.Store { return memory.New() },
		"slow": func() store.Store {
			return storetest.NewSlow(memory.New(), func() time.Duration { return 3 * time.Millisecond })
		},
	}
	for name, open := range stores {
		for _, s := range scripts {
			for _, v := range s.Versions {
				t.Run(fmt.Sprint(name, "/", s.Name, "/", v), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { runScript(t, s, v, open) })
				})
			}
		}
	}
}

func runScript(t *testing.T, s *mqttscript.Script, v mqtt.Version, open func() store.Store) {
	target := &memoryTarget{t: t, open: open}
	defer target.stop()
	r := mqttscript.Run(t.Context(), s, v, target)
	switch r.Status {
	case mqttscript.Failed:
		t.Errorf("%s\n%s", r, r.Transcript())
	case mqttscript.Skipped:
		if r.Reason != "needs persistence" { // survives a restart: nothing in memory does
			t.Errorf("%s", r)
		}
	case mqttscript.Passed:
	}
}

// memoryTarget is a broker on a memnet listener, made at the first Dial, and again when an option changes.
type memoryTarget struct {
	t            *testing.T
	open         func() store.Store
	limits       broker.Limits
	listener     broker.ListenerOptions
	responseInfo func(*broker.Client) string
	net          *memnet.Listener
	broker       *broker.Broker
	served       chan error
}

var (
	_ mqttscript.Target     = (*memoryTarget)(nil)
	_ mqttscript.Configurer = (*memoryTarget)(nil)
	_ mqttscript.Offerer    = (*memoryTarget)(nil)
	_ mqttscript.Ephemeral  = (*memoryTarget)(nil)
)

func (m *memoryTarget) Offers(need string) bool {
	if need == "test-response-information" {
		m.responseInfo = func(c *broker.Client) string { return "response/" + c.ID }
	}
	return need != "persistence"
}

func (m *memoryTarget) Ephemeral() bool { return true }

func (m *memoryTarget) Dial(context.Context) (net.Conn, error) {
	if m.broker == nil {
		b, err := broker.New(broker.Options{
			Limits: m.limits, Store: m.open(), Authenticator: challenge{}, ResponseInformation: m.responseInfo,
		})
		if err != nil {
			return nil, err
		}
		m.broker, m.net, m.served = b, memnet.Listen(), make(chan error, 1)
		go func() { m.served <- b.ServeListener(m.net, m.listener) }()
	}
	return m.net.Dial()
}

// stop shuts the broker down and waits for every goroutine of its own: synctest fails if one is left.
func (m *memoryTarget) stop() {
	if m.broker == nil {
		return
	}
	if err := m.broker.Shutdown(context.Background()); err != nil {
		m.t.Errorf("shutdown: %v", err)
	}
	if err := <-m.served; err != broker.ErrClosed {
		m.t.Errorf("serve: %v", err)
	}
	if n := m.broker.Stats(); n.Panics > 0 || n.Connections != 0 || n.Unaccepted != 0 {
		m.t.Errorf("after shutdown: %+v", n)
	}
	m.broker = nil
}

func (m *memoryTarget) Option(key, value string) error {
	m.stop()
	n, err := strconv.Atoi(value)
	if err != nil && value != "true" && value != "false" {
		return err
	}
	switch key {
	case "max_inflight_messages":
		m.limits.MaxInflight = uint16(n)
	case "max_queued_messages":
		m.limits.MaxQueuedMessages = n
	case "max_packet_size":
		m.limits.MaxPacketSize = uint32(n)
	case "message_size_limit":
		m.limits.MaxMessageSize = uint32(n)
	case "max_keepalive":
		m.limits.MaxKeepAlive = uint16(n)
	case "max_qos":
		m.listener.RefuseQoS = byte(n + 1)
	case "max_topic_alias":
		m.listener.MaxTopicAlias = aliases(n)
	case "max_topic_alias_broker":
		m.listener.MaxTopicAliasBroker = aliases(n)
	case "retain_available":
		m.limits.RefuseRetained = value == "false"
	case "allow_zero_length_clientid":
		m.listener.RefuseEmptyClientID = value == "false"
	case "allow_anonymous":
		m.listener.RefuseAnonymous = value == "false"
	case "upgrade_outgoing_qos":
		m.limits.UpgradeOutgoingQoS = value == "true"
	case "allow_duplicate_messages":
		m.limits.AllowDuplicates = value == "true"
	case "queue_qos0_messages":
		m.limits.QueueQoS0 = value == "true"
	case "persistent_client_expiration":
		m.limits.MaxSessionExpiry = time.Duration(n) * time.Second
	default:
		return fmt.Errorf("no option %q here", key)
	}
	return nil
}

func aliases(n int) uint16 {
	if n == 0 {
		return broker.NoAliases
	}
	return uint16(n)
}

// challenge is an Authenticator whose only method asks a question.
type challenge struct{}

func (challenge) Authenticate(context.Context, *broker.Client, []byte) error { return nil }

func (challenge) Exchange(_ context.Context, _ *broker.Client, method string) (broker.Exchange, error) {
	if method != "TEST-CHALLENGE" {
		return nil, mqtt.BadAuthenticationMethod
	}
	return &challengeExchange{}, nil
}

type challengeExchange struct{ asked bool }

func (c *challengeExchange) Next(_ context.Context, data []byte) (reply []byte, done bool, err error) {
	if !c.asked {
		c.asked = true
		return []byte("question"), false, nil
	}
	if string(data) != "answer" {
		return nil, false, mqtt.NotAuthorized
	}
	return []byte("welcome"), true, nil
}
