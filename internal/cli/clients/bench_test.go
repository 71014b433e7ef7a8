package clients_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/bench"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
)

func TestBenchReportsAndItsStatusTellsSuccess(t *testing.T) {
	t.Parallel()
	addr := net.JoinHostPort("127.0.0.1", clitest.StartBroker(t))
	status, out, errs := clitest.Unio("bench", "one-to-one", "--broker", addr, "-n", "100", "--pairs", "2", "-q", "1", "-V", "5", "--warmup", "0", "--json")
	var r bench.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exit.OK {
		t.Fatalf("status %d, error %v\n%s%s", status, err, out, errs)
	}
	if len(r.Phases) != 1 || r.Phases[0].Delivered != 100 || !r.Verified || r.Version != "5.0" || r.QoS != 1 {
		t.Errorf("%+v", r)
	}
	status, out, errs = clitest.Unio("bench", "fan-out", "--broker", "mqtt://"+addr, "-n", "20", "--subscribers", "3", "--warmup", "0")
	if want := "20 published, 60 delivered"; status != exit.OK || !strings.Contains(out, want) {
		t.Errorf("status %d, expected %q in\n%s%s", status, want, out, errs)
	}
}

func TestBenchSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"", exit.Invalid, "expected one scenario: one-to-one"},
		{"one-to-two", exit.Invalid, `scenario "one-to-two": expected one-to-one`},
		{"one-to-one -V 31", exit.Invalid, "--protocol-version 31: expected 311 or 5"},
		{"one-to-one --bind here", exit.Invalid, "expected an IP address"},
		{"one-to-one --broker http://h", exit.Invalid, "expected a URL with mqtt, mqtts, ws or wss"},
		{"idle --pairs 3", exit.Invalid, "scenario idle has no pairs"},
		{"one-to-one --cert x", exit.Invalid, "certfile and keyfile"},
		{"one-to-one --broker 127.0.0.1:1 --pairs 1", exit.Failure, "connection refused"},
	} {
		status, _, errs := clitest.Unio(append([]string{"bench"}, strings.Fields(c.args)...)...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("bench %s: status %d, expected %d; %q, expected %q", c.args, status, c.status, errs, c.want)
		}
	}
}
