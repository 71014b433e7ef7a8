package cli_test

import (
	"net"
	"sync"
	"testing"

	"github.com/uniomq/unio/internal/illegal"
	"github.com/uniomq/unio/mqtt"
)

// TestIllegalPacketsOverASocket plays the catalogue against the command, several cases at a time.
func TestIllegalPacketsOverASocket(t *testing.T) {
	t.Parallel()
	address := net.JoinHostPort("127.0.0.1", startBroker(t))
	for name, v := range map[string]mqtt.Version{"3.1": mqtt.V31, "3.1.1": mqtt.V311, "5.0": mqtt.V5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cases := make(chan illegal.Case)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for c := range cases {
						nc, err := net.Dial("tcp", address)
						if err == nil {
							err = illegal.Run(nc, c)
						}
						if err != nil {
							t.Errorf("%s: % X: %v", c.Name, c.Send, err)
						}
					}
				})
			}
			all := illegal.Cases(v)
			for _, c := range all {
				cases <- c
			}
			close(cases)
			wg.Wait()
			t.Logf("%d cases", len(all))
		})
	}
}
