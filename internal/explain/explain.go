// Package explain answers how a broker would decide about something that a client wants to do, and why.
package explain

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/access"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/admin"
	"github.com/uniomq/unio/internal/dynsec"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/topic"
)

// A Question is what a client wants to do, for Explain.
type Question struct {
	Action string // connect, publish, will, receive, subscribe or unsubscribe
	Topic  string // a filter to subscribe or unsubscribe, which may begin with $share
	QoS    byte
	Retain bool
	Dup    bool
	Size   int // of the payload, in bytes

	ClientID   string
	Username   string
	Anonymous  bool   // the client has no user name
	Address    string // its IP address; empty: none
	Listener   string // as the configuration has it; empty: the first
	TLS        bool
	CommonName string              // of the client certificate, as what follows
	Subject    string              // as RFC 2253 writes it
	Names      []string            // its alternative names
	SHA256     string              // its fingerprint
	PSK        string              // the identity of the pre-shared key
	Attributes map[string][]string // what the authentication would give it: groups, roles and others
	Version    mqtt.Version
	CleanStart bool
	HasWill    bool
}

// An Answer says how a broker with some configuration would decide, and why.
type Answer struct {
	Allow    bool   `json:"allow"`
	Action   string `json:"action"`
	Client   string `json:"client"`
	Username string `json:"user,omitempty"`
	Listener string `json:"listener"`
	Topic    string `json:"topic,omitempty"` // behind the listener's mount point
	// Reason is set if no rule was asked.
	Reason string `json:"reason,omitempty"`
	// Files are the answers of acl_file, rules_file and dynamic security, as far as the listener has them. All have to allow.
	Files []acl.Explanation `json:"files,omitempty"`
}

// Explain decides by the rules of a configuration, as a broker does that is started with it, and says why. Whether the client would be
// let in by its password is not asked.
func Explain(cfg *config.Config, q Question) (*Answer, error) {
	rules, dynamic, err := access.Rules(cfg)
	if err != nil {
		return nil, err
	}
	return By(cfg, rules, dynamic, q)
}

// By is Explain by rules that were read before, with the dynamic security of each listener.
func By(cfg *config.Config, by *acl.Authorizer, dynamic map[string]*dynsec.Security, q Question) (*Answer, error) {
	a, l, err := q.access(cfg)
	if err != nil {
		return nil, err
	}
	answer := &Answer{
		Action: q.Action, Client: q.ClientID, Username: q.Username, Listener: l.Name(), Topic: string(a.Topic), Allow: true,
	}
	switch {
	case (a.Action == broker.ActionPublish || a.Action == broker.ActionWill) && broker.Reserved(a.Topic):
		answer.Allow, answer.Reason = false, "no client publishes below $SYS or $share, whatever the rules say"
		return answer, nil
	case a.Action == broker.ActionWill && broker.IsControl(a.Topic):
		answer.Allow, answer.Reason = false, "no will is a request below $CONTROL, whatever the rules say"
		return answer, nil
	}
	if d := dynamic[l.Name()]; d != nil {
		a.Client.Attributes = withAttributes(d.Attributes(q.Username), q.Attributes)
	}
	answer.Allow, answer.Files = by.Explain(a)
	if len(answer.Files) == 0 {
		answer.Reason = "the listener has neither acl_file nor rules_file nor dynamic security"
		if !answer.Allow {
			answer.Reason += ": " + by.Reason(a)
		}
	}
	return answer, nil
}

// withAttributes returns the attributes of two sources.
func withAttributes(a, b map[string][]string) map[string][]string {
	all := map[string][]string{}
	for _, m := range []map[string][]string{a, b} {
		for k, values := range m {
			all[k] = append(all[k], values...)
		}
	}
	return all
}

// access returns the question as the engine would ask it.
func (q *Question) access(cfg *config.Config) (broker.Access, *config.Listener, error) {
	a := broker.Access{QoS: q.QoS, Retain: q.Retain, Dup: q.Dup, Size: q.Size}
	l, err := q.findListener(cfg)
	if err != nil {
		return a, nil, err
	}
	var ok bool
	if a.Action, ok = acl.ParseAction(q.Action); !ok {
		return a, nil, fmt.Errorf("expected connect, publish, will, receive, subscribe or unsubscribe, not %q", q.Action)
	}
	switch a.Action {
	case broker.ActionConnect:
		if q.Topic != "" {
			return a, nil, errors.New("expected no topic with connect")
		}
	case broker.ActionSubscribe, broker.ActionUnsubscribe:
		if err := topic.ValidFilter(q.Topic); err != nil {
			return a, nil, fmt.Errorf("expected a topic filter, not %q: %w", q.Topic, err)
		}
		group, rest, _ := topic.SplitShare(q.Topic)
		a.Share, a.Topic = group, []byte(l.MountPoint+rest)
	default:
		if err := topic.ValidName(q.Topic); err != nil {
			return a, nil, fmt.Errorf("expected the name of a topic, not %q: %w", q.Topic, err)
		}
		a.Topic = []byte(l.MountPoint + q.Topic)
		if l.Protocol == config.HTTPAPI {
			a.Topic, a.Spelled = []byte(q.Topic), admin.Spelled(q.Topic)
		}
	}
	a.Client = &broker.Client{
		ID: q.ClientID, Username: q.Username, HasUsername: !q.Anonymous, LoggedIn: !q.Anonymous, Version: q.Version, CleanStart: q.CleanStart, HasWill: q.HasWill,
		LocalAddr: &net.TCPAddr{Port: int(l.Port)}, Listener: l.Name(), Transport: q.transport(), Attributes: q.Attributes,
	}
	if q.Address != "" {
		addr, err := netip.ParseAddr(q.Address)
		if err != nil {
			return a, nil, fmt.Errorf("expected an IP address, not %q", q.Address)
		}
		a.Client.RemoteAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))
	}
	return a, l, nil
}

// transport returns what lies below MQTT, nil for nothing.
func (q *Question) transport() *broker.Transport {
	if !q.TLS && q.CommonName == "" && q.Subject == "" && len(q.Names) == 0 && q.SHA256 == "" && q.PSK == "" {
		return nil
	}
	return &broker.Transport{ // there is none of it without TLS
		TLS: "TLSv1.3", CommonName: q.CommonName, Subject: q.Subject, Names: q.Names, Fingerprint: q.SHA256, PSKIdentity: q.PSK,
	}
}

// findListener returns the listener of that name, or the first one.
func (q *Question) findListener(cfg *config.Config) (*config.Listener, error) {
	var names []string
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		if cmp.Or(q.Listener, l.Name()) == l.Name() {
			return l, nil
		}
		names = append(names, l.Name())
	}
	return nil, fmt.Errorf("expected a listener of the configuration, which has %s, not %q", strings.Join(names, ", "), q.Listener)
}
