package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
)

func TestTestConfigShowsEachValueWithItsOrigin(t *testing.T) {
	t.Parallel()
	path := clitest.File(t, "max_qos 1", "listener 1884 127.0.0.1", "allow_anonymous true", "max_connections 5", "log_type error", "log_type debug")
	var stdout, stderr bytes.Buffer
	if status := cli.Main("1", []string{"--test-config", "-v", "-c", path}, &stdout, &stderr); status != exit.OK {
		t.Fatalf("status %d, %s", status, &stderr)
	}
	got := map[string]bool{}
	for line := range strings.Lines(stdout.String()) {
		got[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"max_inflight_messages 20 # default", "log_type error # " + path + ":5", "log_type debug # " + path + ":6",
		"listener 1884 127.0.0.1 # " + path + ":2", "max_connections 5 # " + path + ":4",
		"allow_anonymous true # " + path + ":3", "max_qos 1 # " + path + ":1", "max_qos 2 # default",
	} {
		if !got[want] {
			t.Errorf("no %q in:\n%s", want, &stdout)
		}
	}
}
