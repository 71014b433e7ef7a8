//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

func TestPUIDAloneGivesUpRootsGroups(t *testing.T) {
	t.Parallel()
	uid, gid := nobody(t)
	for puid, want := range map[int]int{54321: 54321, uid: gid} {
		cmd := exec.Command(clitest.Binary, "-p", strconv.Itoa(testenv.FreePort(t)))
		cmd.Env = append(os.Environ(), fmt.Sprintf("PUID=%d", puid))
		p := clitest.Launch(t, cmd)
		p.Await("running$")
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
		if err != nil || !isRoot() {
			t.Logf("only Linux tells, and only root changes: %v", err)
			p.Terminate()
			continue
		}
		for _, line := range []string{
			fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", puid), fmt.Sprintf("Gid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", want),
			fmt.Sprintf("Groups:\t%d", want),
		} {
			if !strings.Contains(string(status), line) {
				t.Errorf("PUID %d: no %q in\n%s", puid, line, status)
			}
		}
		p.Terminate()
	}
}
