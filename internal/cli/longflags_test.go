package cli_test

import (
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
)

// TestLongFlagsAreMosquittos has the long spellings that mosquitto(8) of 2.1 lists.
func TestLongFlagsAreMosquittos(t *testing.T) {
	t.Parallel()
	conf := clitest.File(t, "listener 1883 127.0.0.1")
	for _, args := range [][]string{
		{"--config-file", conf},
		{"--config", conf},
		{"-c", conf, "--port", "1884"},
		{"-c", conf, "--quiet"},
		{"-c", conf, "--verbose"},
		{"-c", conf, "--daemon"},
	} {
		p := clitest.Run(t, append(args, "--test-config")...)
		if status := p.Status(); status != 0 {
			t.Errorf("%s: status %d\n%s", args[0], status, p.Text())
		}
	}
}
