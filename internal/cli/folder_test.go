//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
)

func TestTheFolderOfTheStoreIsTheUsers(t *testing.T) {
	t.Parallel()
	uid, _ := nobody(t)
	for _, before := range []string{"nothing", "a folder of root", "a store of root"} {
		t.Run(before, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(openFolder(t), "data")
			lines := []string{fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t)), "persistence true", "persistence_location " + dir + "/"}
			if before != "nothing" {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if before == "a store of root" {
				p := clitest.Run(t, "-c", clitest.File(t, append(lines, "user root")...))
				p.Await("running$")
				p.Terminate()
			}
			p := clitest.Run(t, "-c", clitest.File(t, append(lines, "user nobody")...))
			p.Await("running$")
			p.Terminate()
			if !isRoot() {
				return
			}
			err := filepath.Walk(filepath.Join(dir, "mosquitto.db.unio"), func(path string, _ os.FileInfo, err error) error {
				if err == nil && int(statOf(t, path).Uid) != uid {
					t.Errorf("%s is %d's", path, statOf(t, path).Uid)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if s := statOf(t, dir); (int(s.Uid) == uid) != (before == "nothing") {
				t.Errorf("the folder above is %d's", s.Uid)
			}
		})
	}
}

func TestAFolderThatTheUserMayNotWriteInIsAnErrorWithAHint(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	store := filepath.Join(dir, "mosquitto.db.unio")
	elsewhere := openFolder(t)
	chmod(t, elsewhere, 0o555)
	if err := os.Symlink(elsewhere, store); err != nil { // which root gives to nobody
		t.Fatal(err)
	}
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t)), "user nobody", "persistence true", "persistence_location "+dir+"/"))
	if status := p.Status(); status != exit.Failure {
		t.Errorf("status %d", status)
	}
	p.Await(`Error: store: .*permission denied; the broker's user must be able to write in ` + store + `: chown -R \d+ ` + store + `, or set persistence_location`)
	if s := statOf(t, elsewhere); int(s.Uid) != os.Geteuid() {
		t.Errorf("what the link leads to was given to %d", s.Uid)
	}
}
