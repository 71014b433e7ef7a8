package mqttscript

import (
	"context"
	"net"
	"slices"
)

// Target is the broker that a script runs against. It may implement any of the
// optional interfaces below; a script that needs one that is missing is skipped.
type Target interface {
	// Dial opens a connection to the broker.
	Dial(ctx context.Context) (net.Conn, error)
}

// Restarter is a Target that can stop its broker in good order and start it
// again: broker restart.
type Restarter interface{ Restart() error }

// Killer is a Target that can end its broker without warning, as kill -9 does, and
// start it again: broker kill.
type Killer interface{ Kill() error }

// Configurer is a Target that can set an option of its broker, which holds for
// connections made afterwards: broker option KEY VALUE. The keys are those of
// mosquitto.conf.
type Configurer interface {
	Option(key, value string) error
}

// Offerer is a Target that has something that needs lines ask for.
type Offerer interface{ Offers(need string) bool }

// Ephemeral is a Target whose broker serves a single run, so that a run need not
// remove the sessions and retained messages that it made.
type Ephemeral interface{ Ephemeral() bool }

// TCP is the Target at a TCP address, host:port. It controls nothing; Offered
// lists what the user says that the broker there has.
type TCP struct {
	Address string
	Offered []string
}

var (
	_ Target  = (*TCP)(nil)
	_ Offerer = (*TCP)(nil)
)

// Dial connects to the address.
func (t *TCP) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", t.Address)
}

// Offers reports whether need is in Offered.
func (t *TCP) Offers(need string) bool {
	return slices.Contains(t.Offered, need)
}

// missing returns what the target lacks to run the script, "" if nothing.
func missing(s *Script, t Target) string {
	offerer, _ := t.(Offerer)
	for _, need := range s.Needs {
		if offerer == nil || !offerer.Offers(need) {
			return "needs " + need
		}
	}
	for _, st := range s.steps {
		if st.kind != stepBroker {
			continue
		}
		ok := false
		switch st.words[0] {
		case "restart":
			_, ok = t.(Restarter)
		case "kill":
			_, ok = t.(Killer)
		case "option":
			_, ok = t.(Configurer)
		}
		if !ok {
			return "needs a broker under control (broker " + st.words[0] + ")"
		}
	}
	return ""
}
