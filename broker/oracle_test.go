package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/uniomq/unio/topic"
)

// history is what clients did and saw, in the order of a clock that counts events. check says what in it cannot be
// where every message is delivered as its QoS promises.
type history struct {
	clock         int
	messages      map[string]*sent // by payload, which no two share
	deliveries    []delivery
	subscriptions []*subscription
	broken        []string // what was seen to be wrong when it happened
}

// sent is a message that some client published.
type sent struct {
	topic   string
	from    int // the client
	n       int // of this client, from 1
	qos     byte
	retain  bool
	at      int  // when PUBLISH was sent first
	acked   bool // PUBACK, or PUBREC, with success
	resent  bool // after a reconnect, and so perhaps behind later messages
	settled bool // its session is known to have gone before it was acknowledged, or it is a will: it may be lost
}

// delivery is a message that reached a client's application: what the client knew for a repetition is not one.
type delivery struct {
	client  int
	payload string
	topic   string
	qos     byte
	retain  bool
	dup     bool
}

// subscription is a filter of a client's session, from SUBACK until the session or the subscription may have ended.
type subscription struct {
	client   int
	filter   string
	qos      byte
	stored   bool
	from, to int // to is 0 to the end
}

func newHistory() *history { return &history{messages: map[string]*sent{}} }

func (h *history) tick() int {
	h.clock++
	return h.clock
}

func (h *history) fault(format string, args ...any) {
	h.broken = append(h.broken, fmt.Sprintf(format, args...))
}

// check returns what is wrong.
func (h *history) check() []string {
	h.checkReceivers()
	h.checkDelivered()
	h.checkOrder()
	return h.broken
}

// filters are those of a client that ever matched a topic.
func (h *history) filters(client int, name string) (all []string) {
	seen := map[string]bool{}
	for _, s := range h.subscriptions {
		_, filter, shared := topic.SplitShare(s.filter)
		if !shared {
			filter = s.filter
		}
		if s.client == client && !seen[s.filter] && topic.Match(filter, name) {
			seen[s.filter] = true
			all = append(all, s.filter)
		}
	}
	return all
}

// checkReceivers: nobody gets what nobody published, or what they never subscribed to, or at a higher QoS.
func (h *history) checkReceivers() {
	for _, d := range h.deliveries {
		m := h.messages[d.payload]
		switch {
		case m == nil:
			h.fault("client %d got %q, which nobody published", d.client, d.payload)
		case m.topic != d.topic:
			h.fault("client %d got %q on %s, and it was published to %s", d.client, d.payload, d.topic, m.topic)
		case m.qos < d.qos:
			h.fault("client %d got %q at QoS %d, and it was published at %d", d.client, d.payload, d.qos, m.qos)
		case len(h.filters(d.client, d.topic)) == 0:
			h.fault("client %d got %q on %s without a subscription", d.client, d.payload, d.topic)
		}
	}
}

// checkDelivered: what was acknowledged reaches each stored session that was subscribed from before until the end, and
// at QoS 2 once.
func (h *history) checkDelivered() {
	type key struct {
		client  int
		payload string
	}
	count, shared := map[key]int{}, map[string]int{}
	for _, d := range h.deliveries {
		if d.retain || d.qos == 1 && d.dup {
			continue
		}
		count[key{d.client, d.payload}]++
		if topic.Match(sharedTopics, d.topic) && d.qos == 2 {
			shared[d.payload]++
		}
	}
	any := map[key]bool{}
	for _, d := range h.deliveries {
		any[key{d.client, d.payload}] = true
	}
	for payload, m := range h.messages {
		for _, s := range h.subscriptions {
			k := key{s.client, payload}
			lasting := s.stored && s.to == 0 && s.from < m.at && topic.Match(s.filter, m.topic)
			if lasting && m.acked && min(m.qos, s.qos) > 0 && !any[k] {
				h.fault("client %d never got %q, which was acknowledged", s.client, payload)
			}
		}
		if shared[payload] > 1 {
			h.fault("the group got %q %d times", payload, shared[payload])
		}
	}
	for k, n := range count {
		m := h.messages[k.payload]
		if m != nil && m.qos == 2 && n > len(h.filters(k.client, m.topic)) {
			h.fault("client %d got %q %d times", k.client, k.payload, n)
		}
	}
}

// checkOrder: a client gets the messages of one publisher, topic and QoS in their order [MQTT-4.6.0-5, -6].
func (h *history) checkOrder() {
	type stream struct {
		client, from int
		topic        string
		qos          byte
	}
	last, seen := map[stream]int{}, map[string]bool{}
	for _, d := range h.deliveries {
		m := h.messages[d.payload]
		once := fmt.Sprint(d.client, " ", d.payload)
		if m == nil || m.resent || d.retain || seen[once] || topic.Match(sharedTopics, d.topic) || len(h.filters(d.client, d.topic)) != 1 {
			continue
		}
		seen[once] = true
		k := stream{d.client, m.from, d.topic, d.qos}
		if m.n < last[k] {
			h.fault("client %d got %q after message %d of client %d", d.client, d.payload, last[k], m.from)
		}
		last[k] = m.n
	}
}

// sharedTopics are those that are subscribed to by groups alone.
const sharedTopics = "s/#"

// TestOracleSeesWhatIsWrong doctors a good history in each way that check is to notice.
func TestOracleSeesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		doctor func(h *history)
		fault  string // "": none
	}{
		"good": {func(*history) {}, ""},
		"lost": {func(h *history) { h.deliveries = h.deliveries[1:] }, "never got"},
		"lost and not acknowledged": {func(h *history) {
			h.messages["1.1"].acked = false
			h.deliveries = h.deliveries[1:]
		}, ""},
		"lost after the subscription's end": {func(h *history) {
			h.subscriptions[0].to = 3
			h.deliveries = h.deliveries[1:]
		}, ""},
		"twice at QoS 2":              {func(h *history) { h.deliveries = append(h.deliveries, h.deliveries[1]) }, "2 times"},
		"again at QoS 1":              {func(h *history) { h.deliveries = append(h.deliveries, again(h.deliveries[0])) }, ""},
		"reordered":                   {func(h *history) { h.deliveries[0], h.deliveries[2] = h.deliveries[2], h.deliveries[0] }, "after message"},
		"to the wrong client":         {func(h *history) { h.deliveries[0].client = 2 }, "without a subscription"},
		"on the wrong topic":          {func(h *history) { h.deliveries[0].topic = "a/2" }, "it was published to"},
		"made up":                     {func(h *history) { h.deliveries[0].payload = "9.9" }, "nobody published"},
		"at too high a QoS":           {func(h *history) { h.deliveries[0].qos = 2 }, "published at 1"},
		"to two members of one group": {func(h *history) { h.deliveries = append(h.deliveries, delivery{2, "1.4", "s/1", 2, false, false}) }, "the group got"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory()
			h.subscriptions = []*subscription{
				{client: 0, filter: "a/+", qos: 2, stored: true, from: 1},
				{client: 0, filter: "$share/g/s/#", qos: 2, from: 1},
				{client: 2, filter: "$share/g/s/#", qos: 2, from: 1},
			}
			for i, m := range []sent{{topic: "a/1", qos: 1}, {topic: "a/1", qos: 2}, {topic: "a/1", qos: 1}, {topic: "s/1", qos: 2}} {
				m.from, m.n, m.at, m.acked = 1, i+1, i+2, true
				payload := fmt.Sprintf("1.%d", m.n)
				h.messages[payload] = &m
				h.deliveries = append(h.deliveries, delivery{0, payload, m.topic, m.qos, false, false})
			}
			c.doctor(h)
			faults := strings.Join(h.check(), "\n")
			if c.fault == "" && faults != "" || !strings.Contains(faults, c.fault) {
				t.Errorf("got %q, want %q", faults, c.fault)
			}
		})
	}
}

func again(d delivery) delivery {
	d.dup = true
	return d
}
