package cli_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/illegal"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// TestIllegalPacketsOverASocket plays the catalogue against the command, several cases at a time. Afterwards the command holds
// no descriptor more than before, and has logged no fault.
func TestIllegalPacketsOverASocket(t *testing.T) {
	t.Parallel()
	port := strconv.Itoa(testenv.FreePort(t))
	p := clitest.Run(t, "-p", port)
	p.Await("running$")
	dial := func() (net.Conn, error) { return net.Dial("tcp", net.JoinHostPort("127.0.0.1", port)) }
	one := illegal.Cases(mqtt.V5)[:1]
	if err := illegal.Play(dial, one, 1); err != nil { // what is opened once is open now
		t.Fatal(err)
	}
	before := descriptors(p)
	for _, v := range []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5} {
		if err := illegal.Play(dial, illegal.Cases(v), 8); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	for giveUp := time.Now().Add(clitest.Deadline); descriptors(p) > before; { // some may just be closing
		if time.Now().After(giveUp) {
			t.Fatalf("%d descriptors, %d before", descriptors(p), before)
		}
		if err := illegal.Play(dial, one, 1); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(p.Text()) {
		if strings.Contains(line, "Internal fault") {
			t.Error(line)
		}
	}
}

// descriptors counts the open files of a process; 0 where the system does not tell.
func descriptors(p *clitest.Process) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(entries)
}
