//go:build unix

package doors

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

// TestExamplesOfTheManualStart starts each configuration of docs/listeners.md, with files and ports of this test in place of its own.
func TestExamplesOfTheManualStart(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/listeners.md")
	if err != nil {
		t.Fatal(err)
	}
	p := newPKI(t)
	if err := os.Mkdir(filepath.Join(p.dir, "www"), 0o700); err != nil {
		t.Fatal(err)
	}
	runDir, err := os.MkdirTemp("", "unio") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(runDir) })
	files := strings.NewReplacer(
		"/etc/unio/server.crt", p.server.file, "/etc/unio/server.key", p.server.pem, "/etc/unio/ca.crt", p.ca.file,
		"/etc/unio/ca.crl", p.ca.revoke(filepath.Join(p.dir, "crl")),
		"/etc/unio/acl", writeFile(t, filepath.Join(p.dir, "acl"), []byte("user client\ntopic readwrite #\n")),
		"/etc/unio/keys", writeFile(t, filepath.Join(p.dir, "keys"), []byte("device:"+pskKey+"\n")),
		"/etc/unio/passwords", writeFile(t, filepath.Join(p.dir, "passwords"), nil),
		"/var/lib/unio", p.dir, "/var/www/unio", filepath.Join(p.dir, "www"), "/run/unio", runDir,
		"10.0.0.5", "127.0.0.1",
	)
	port := regexp.MustCompile(`(?m)^listener [1-9]\d*`)
	examples := regexp.MustCompile("(?s)```conf\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(examples) < 8 {
		t.Errorf("only %d examples", len(examples))
	}
	for _, e := range examples {
		conf := port.ReplaceAllStringFunc(files.Replace(e[1]), func(string) string { return "listener " + strconv.Itoa(testenv.FreePort(t)) })
		b := startBroker(t, strings.Split(conf, "\n")...)
		for _, line := range b.since(0) {
			if strings.HasPrefix(line, "Warning: ") && !strings.Contains(line, "should not be run as root") {
				t.Errorf("%s\n%s", conf, line)
			}
		}
		b.stop()
	}
}
