package config_test

import (
	"testing"

	"github.com/uniomq/unio/config"
)

func TestListenersAreNamedByWhereTheyListen(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]config.Listener{
		":1883":          {Port: 1883},
		"[::1]:1883":     {Port: 1883, Address: "::1"},
		"/run/unio.sock": {Path: "/run/unio.sock"},
		"host:1883%eth0": {Port: 1883, Address: "host", BindInterface: "eth0"},
	} {
		if got := l.Name(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
