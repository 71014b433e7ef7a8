//go:build unix

package cli_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// A key of TLS is often root's alone.
func TestAReloadIsTakenThoughTheKeyCannotBeRead(t *testing.T) {
	t.Parallel()
	cert := clitest.NewAuthority(t, "ca").Leaf("server", net.IPv4(127, 0, 0, 1)) // where nobody but its owner may read
	dir, port, secure := openFolder(t), testenv.FreePort(t), testenv.FreePort(t)
	conf := filepath.Join(dir, "unio.conf")
	lines := []string{
		"user nobody", fmt.Sprintf("listener %d 127.0.0.1", port),
		fmt.Sprintf("listener %d 127.0.0.1", secure), "certfile " + cert + ".crt", "keyfile " + cert + ".key",
	}
	write(t, conf, append(lines, "allow_anonymous true")...)
	p := clitest.Run(t, "-c", conf)
	p.Await("running$")
	if isRoot() {
		p.Await("Warning: open " + cert + ".key: permission denied; a reload will go on with the files of TLS that were read at the start")
	}
	chmod(t, cert+".key", 0)
	write(t, conf, append(lines, "allow_anonymous false", "log_timestamp_format taken")...)
	p.Signal(syscall.SIGHUP)
	p.Await(fmt.Sprintf("Error: listener 127.0.0.1:%d: the files of TLS are not used: .*permission denied", secure))
	p.Signal(syscall.SIGHUP) // which comes when the first one is done
	p.Await("^taken: Reloading config")
	hello := &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}
	exchange(t, clitest.Dial(t, port), hello, "20020005")
	conn := tls.Client(clitest.Dial(t, secure), &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Error(err)
	}
	p.Terminate()
	if strings.Contains(p.Text(), "was not reloaded") {
		t.Errorf("got\n%s", p.Text())
	}

	chmod(t, cert+".key", 0o600)
	write(t, conf, lines...)
	p = clitest.Run(t, "-c", conf)
	p.Await("running$")
	chmod(t, cert+".key", 0)
	write(t, conf, append(lines, "tls_version tlsv1.3")...) // which needs the files
	p.Signal(syscall.SIGHUP)
	p.Await("was not reloaded")
	p.Terminate()
}

func TestAReloadIsTakenThoughNoLogCanBeOpened(t *testing.T) {
	t.Parallel()
	for _, rotation := range []string{"renamed", "made by root"} {
		t.Run(rotation, func(t *testing.T) {
			t.Parallel()
			dir, port := openFolder(t), testenv.FreePort(t)
			conf, log, audit := filepath.Join(dir, "unio.conf"), filepath.Join(dir, "log"), filepath.Join(dir, "audit")
			lines := []string{fmt.Sprintf("listener %d 127.0.0.1", port), "user nobody", "log_dest stderr", "log_dest file " + log, "audit_log " + audit}
			write(t, conf, append(lines, "allow_anonymous true")...)
			p := clitest.Run(t, "-c", conf)
			p.Await("running$")
			for _, path := range []string{log, audit} {
				if isRoot() {
					p.Await("Warning: .*permission denied; when " + path + " is rotated it goes on in the old file")
				}
				if err := os.Rename(path, path+".1"); err != nil {
					t.Fatal(err)
				}
				if rotation == "made by root" {
					rewrite(t, path)
					chmod(t, path, 0o440)
				}
			}
			chmod(t, dir, 0o555)
			hello := &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}
			exchange(t, clitest.Dial(t, port), hello, "20020000")
			var said []string
			for n, anonymous := range []string{"false", "true"} { // not once alone
				write(t, conf, append(lines, "allow_anonymous "+anonymous, fmt.Sprintf("log_timestamp_format reload %d", n))...)
				p.Signal(syscall.SIGHUP)
				p.Await("Error: open the audit log: .*permission denied; security events go on to the file that is open")
				said = append(said, p.Await(fmt.Sprintf("^reload %d: Error: open the log: .*permission denied; the log goes on where it went", n)))
				exchange(t, clitest.Dial(t, port), hello, map[string]string{"false": "20020005", "true": "20020000"}[anonymous])
			}
			p.Terminate()
			for _, line := range said {
				if !strings.Contains(contentOf(t, log+".1"), line) {
					t.Errorf("the old file has\n%s", contentOf(t, log+".1"))
				}
			}
			if strings.Contains(p.Text(), "was not reloaded") || !strings.Contains(contentOf(t, audit+".1"), `"event":"reload"`) {
				t.Errorf("got\n%s\n%s", p.Text(), contentOf(t, audit+".1"))
			}
		})
	}
}
