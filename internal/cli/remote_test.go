//go:build unix

package cli_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
)

func TestExplainAsksARunningBroker(t *testing.T) {
	t.Parallel()
	passwd, acl := clitest.File(t), clitest.File(t, "user ann", "topic read /api/v1/explain", "topic write a")
	if status := cli.Main("test", []string{"passwd", "-b", "-H", "sha512-pbkdf2", passwd, "ann", "secret"}, &bytes.Buffer{}, &bytes.Buffer{}); status != exit.OK {
		t.Fatal("passwd failed")
	}
	port := testenv.FreePort(t)
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "protocol http_api", "password_file "+passwd, "acl_file "+acl))
	p.Await("running$")
	secret := clitest.File(t, "secret")
	explain := func(args ...string) (status int, stdout, stderr string) {
		var out, errs bytes.Buffer
		all := append([]string{"explain", "--url", fmt.Sprintf("http://127.0.0.1:%d", port), "--login", "ann", "--password-file", secret, "--client", "c"}, args...)
		status = cli.Main("test", all, &out, &errs)
		return status, out.String(), errs.String()
	}
	want := fmt.Sprintf("allowed: publish \"a\", client \"c\", user \"ann\", listener 127.0.0.1:%d\n%s allows it:\n  %s:3: topic write a\n", port, acl, acl)
	if status, out, errs := explain("--user", "ann", "publish", "a"); status != exit.OK || out != want {
		t.Errorf("status %d, %s\n%s", status, out, errs)
	}
	status, out, _ := explain("--json", "publish", "a")
	var local bytes.Buffer
	conf := clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "acl_file "+acl)
	if s := cli.Main("test", []string{"explain", "-c", conf, "--client", "c", "--json", "publish", "a"}, &local, &bytes.Buffer{}); s != status || status != exit.Failure || local.String() != out {
		t.Errorf("status %d and %d, %s\nand %s", status, s, out, &local)
	}
	if status, _, errs := explain("publish", "#"); status != exit.Invalid || !strings.Contains(errs, "expected the name of a topic") {
		t.Errorf("status %d, %s", status, errs)
	}
	p.Terminate()
}

func TestARemoteAnswerThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "ann" || password != "secret" || r.URL.Path != "/sub/api/v1/explain" {
			t.Errorf("asked with %q %q for %s", user, password, r.URL)
		}
		switch r.FormValue("client") {
		case "denied":
			http.Error(w, "Not authorised", http.StatusUnauthorized)
		case "moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "wrong":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"expected something else"}`)
		case "ok":
			fmt.Fprint(w, `{"allow":true}`)
		default:
			fmt.Fprint(w, "<html>")
		}
	})
	server := httptest.NewTLSServer(answers)
	defer server.Close()
	authority, secret := filepath.Join(t.TempDir(), "ca"), clitest.File(t, "secret")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client, flags string
		status        int
		want          string
	}{
		{"ok", "--cafile " + authority, exit.OK, "allowed: "},
		{"ok", "", exit.Invalid, "certificate"},
		{"denied", "--cafile " + authority, exit.Invalid, "answers 401 Unauthorized: Not authorised"},
		{"moved", "--cafile " + authority, exit.Invalid, "answers 302 Found"},
		{"wrong", "--cafile " + authority, exit.Invalid, "answers 400 Bad Request: expected something else"},
		{"html", "--cafile " + authority, exit.Invalid, "invalid character"},
		{"ok", "--cafile " + secret, exit.Invalid, "expected certificates in PEM"},
		{"ok", "--cafile /nowhere", exit.Invalid, "--cafile: "},
		{"ok", "--password-file /nowhere", exit.Invalid, "--password-file: "},
		{"ok", "--url ftp://x", exit.Invalid, "expected --url to be http"},
		{"ok", "-c /nowhere", exit.Invalid, "expected either -c FILE"},
	} {
		var out bytes.Buffer
		args := append([]string{"explain", "--url", server.URL + "/sub", "--login", "ann", "--password-file", secret, "--client", c.client}, strings.Fields(c.flags)...)
		if status := cli.Main("test", append(args, "connect"), &out, &out); status != c.status || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s %s: status %d, %s", c.client, c.flags, status, &out)
		}
	}
}
