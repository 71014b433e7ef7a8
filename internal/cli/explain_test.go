package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli"
	"github.com/uniomq/unio/internal/cli/exit"
)

func TestExplainPrintsTheDecisionAndTheRule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf, rules := filepath.Join(dir, "unio.conf"), filepath.Join(dir, "rules")
	for path, text := range map[string]string{
		conf:  "listener 1883\nrules_file " + rules + "\n",
		rules: "allow write topic=a/%c/%{dept} group=ops tls=yes size=..10\nallow read topic=\"b c\" role=x san=s version=3.1.1\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	explain := func(args ...string) (status int, stdout, stderr string) {
		var out, errs bytes.Buffer
		status = cli.Main("test", append([]string{"explain", "-c", conf, "--client", "c1"}, args...), &out, &errs)
		return status, strings.ReplaceAll(out.String(), dir+"/", ""), errs.String()
	}
	who := []string{"--user", "ann", "--group", "ops", "--group", "dev", "--attribute", "dept=x", "--attribute", "dept=y"}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{append(who, "--cn", "c", "publish", "a/c1/y", "--size", "10"), exit.OK, `allowed: publish "a/c1/y", client "c1", user "ann", listener :1883
rules allows it:
  rules:1: allow write topic=a/%c/%{dept} group=ops tls=yes size=..10
    %c is c1
    %{dept} is x, y
`},
		{append(who, "publish", "a/c1/y"), exit.Failure, `denied: publish "a/c1/y", client "c1", user "ann", listener :1883
rules denies it:
  no rule matched, default deny
  Near misses, which would have decided otherwise but for one condition:
  rules:1: allow write topic=a/%c/%{dept} group=ops tls=yes size=..10
    tls=yes, and it is no
    %c is c1
    %{dept} is x, y
`},
		{[]string{"--role", "x", "--san", "s", "--mqtt-version", "3.1.1", "subscribe", "$share/g/b c"}, exit.OK, `allowed: subscribe "b c", client "c1", listener :1883
rules allows it:
  rules:2: allow read topic="b c" role=x san=s version=3.1.1
`},
		{[]string{"--listener", ":1883", "connect"}, exit.OK, "allowed: connect, client \"c1\", listener :1883\nrules allows it:\n  no rule matched, default allow\n"},
	} {
		if status, out, stderr := explain(c.args...); status != c.status || out != c.want || stderr != "" {
			t.Errorf("%q: status %d, %s\n%swant\n%s", c.args, status, stderr, out, c.want)
		}
	}
	status, out, _ := explain("--json", "publish", "a/c1/<>")
	var answer struct {
		Allow bool
		Files []struct{ Reason string }
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || status != exit.Failure || answer.Allow || len(answer.Files) != 1 || !strings.Contains(out, "<>") {
		t.Errorf("JSON: status %d, %v\n%s", status, err, out)
	}
	for _, args := range [][]string{{}, {"fly", "a"}, {"publish", "a/#"}, {"--qos", "3", "publish", "a"}, {"--attribute", "x", "connect"}, {"--mqtt-version", "9", "connect"}, {"--x"}, {"-c", "/nowhere", "connect"}} {
		if status, _, stderr := explain(args...); status != exit.Invalid || !strings.Contains(stderr, "Error: ") {
			t.Errorf("%q: status %d, %q", args, status, stderr)
		}
	}
}
