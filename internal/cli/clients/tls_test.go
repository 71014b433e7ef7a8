//go:build unix

package clients_test

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

// TestToolsOverTLS lets Debian's pub and ours publish to Debian's mosquitto and to unio over TLS: where one
// succeeds, the other does, with both brokers. What they print when TLS fails is their libraries' matter.
func TestToolsOverTLS(t *testing.T) {
	t.Parallel()
	testenv.File(t, clitest.Mosquitto, "mosquitto")
	for name, broker := range map[string]string{"mosquitto": clitest.Mosquitto, "unio": clitest.Binary} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			toolsOverTLS(t, broker)
		})
	}
}

func toolsOverTLS(t *testing.T, broker string) {
	ours := clitest.Links(t)
	ca, stranger := clitest.NewAuthority(t, "ca"), clitest.NewAuthority(t, "stranger")
	named, other := ca.Leaf("named", net.IPv4(127, 0, 0, 1)), ca.Leaf("other", nil)
	client := ca.Leaf("client", nil)
	listen := func(server string, more ...string) string {
		port := testenv.FreePort(t)
		lines := append([]string{
			"user root", "log_type all", "allow_anonymous true", fmt.Sprintf("listener %d 127.0.0.1", port),
			"certfile " + server + ".crt", "keyfile " + server + ".key", "cafile " + filepath.Join(ca.Dir, "ca.crt"),
		}, more...)
		clitest.Launch(t, exec.Command(broker, "-c", clitest.File(t, lines...))).Await("running$")
		return fmt.Sprint(port)
	}
	plain, misnamed := listen(named), listen(other)
	strict, modern := listen(named, "require_certificate true"), listen(named, "tls_version tlsv1.3")
	cafile, foreign := "--cafile "+filepath.Join(ca.Dir, "ca.crt"), "--cafile "+filepath.Join(stranger.Dir, "stranger.crt")
	pair := " --cert " + client + ".crt --key " + client + ".key"
	for _, c := range []struct {
		name, port, args string
		works            bool
	}{
		{"authority known", plain, cafile, true},
		{"authorities in a folder", plain, "--capath " + ca.Dir, true},
		{"authority unknown", plain, foreign, false},
		{"authority unknown and insecure", plain, foreign + " --insecure", false},
		{"another name", misnamed, cafile, false},
		{"another name and insecure", misnamed, cafile + " --insecure", true},
		{"certificate wanted and none given", strict, cafile, false},
		{"certificate wanted", strict, cafile + pair, true},
		{"a cipher suite of 1.2", plain, cafile + " --ciphers ECDHE-ECDSA-AES256-GCM-SHA384", true},
		{"a cipher suite that is none", plain, cafile + " --ciphers NONE-SUCH", false},
		{"version 1.3", modern, cafile + " --tls-version tlsv1.3", true},
		{"no such version", plain, cafile + " --tls-version tlsv9", false},
		{"no such file", plain, "--cafile /nowhere/ca.crt", false},
		{"a server without TLS", clitest.StartBroker(t), cafile, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-h", "127.0.0.1", "-p", c.port, "-t", "t", "-m", "m", "-q", "1"}, strings.Fields(c.args)...)
			theirs := outcomeOf(t, "", "mosquitto_pub", args...)
			got := outcomeOf(t, "", filepath.Join(ours, "mosquitto_pub"), args...)
			folder := strings.Contains(c.args, "--capath") // OpenSSL wants its files named by their hashes
			if (got.status == 0) != c.works || (got.errors == "") != c.works || !folder && (theirs.status == 0) != c.works {
				t.Errorf("%q:\nours   %v\ntheirs %v", args, got, theirs)
			}
		})
	}
}
