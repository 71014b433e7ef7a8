package listening

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"reflect"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/testenv"
)

func TestOptionsTurnNoAliasesIntoWhatTheEngineCallsIt(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	l := cfg.Listeners[0]
	l.MaxTopicAlias, l.MaxTopicAliasBroker, l.MaxQoS = 0, math.MaxUint16, 0
	o := listenerOptions(cfg, l)
	if o.MaxTopicAlias != broker.NoAliases || o.MaxTopicAliasBroker != broker.NoAliases-1 || o.RefuseQoS != 1 {
		t.Errorf("got %+v", o)
	}
}

func TestAConnectionBeyondThoseOfHTTPIsUnaccepted(t *testing.T) {
	t.Parallel()
	if err := errHTTPConnections; !errors.Is(err, broker.ErrUnaccepted) {
		t.Errorf("%v counts as another cause", err)
	}
}

func TestAHostNameAndAllAddressesListenOnEachFamily(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address string
		want    []string // IPv4 at least: not each machine has IPv6
	}{
		{"", []string{"0.0.0.0"}},
		{"localhost", []string{"127.0.0.1"}},
	} {
		l := config.Default().Listeners[0]
		l.Address, l.Port = test.address, uint16(testenv.FreePort(t))
		sockets, err := open(l, new(passed), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range sockets {
			addr := s.Addr().(*net.TCPAddr)
			if addr.IP.To4() != nil {
				got = append(got, addr.IP.String())
			}
			if addr.Port != int(l.Port) {
				t.Errorf("%q: port %d, want %d", test.address, addr.Port, l.Port)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.address, got, test.want)
		}
	}
}
