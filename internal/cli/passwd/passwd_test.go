package passwd_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/scram"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
)

// unioPasswd runs "unio passwd" in this process, without input.
func unioPasswd(args ...string) (status int, stdout, stderr string) {
	return clitest.Unio(append([]string{"passwd"}, args...)...)
}

// typed runs it as a process that is given this input.
func typed(t *testing.T, input string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(clitest.Binary, append([]string{"passwd"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// accepts checks which of the users of a file have these passwords.
func accepts(t *testing.T, file string, want map[string]string) {
	t.Helper()
	p, err := auth.LoadPasswords(file)
	if err != nil {
		t.Fatal(err)
	}
	for user, password := range want {
		if !p.Verify(user, []byte(password)) {
			t.Errorf("user %s, password %q: refused", user, password)
		}
	}
	if p.Len() != len(want) {
		t.Errorf("%d users, want %d", p.Len(), len(want))
	}
}

func TestPasswdEditsAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwd")
	for _, step := range []struct {
		args []string
		out  string
		want map[string]string
	}{
		{[]string{"-c", "-b", file, "joe", "one"}, "Adding password for user joe\n", map[string]string{"joe": "one"}},
		{[]string{"-b", file, "anne smith", "-two"}, "Adding password for user anne smith\n", map[string]string{"joe": "one", "anne smith": "-two"}},
		{[]string{"-H", "sha512", "-b", file, "joe", "three"}, "Updating password for user joe\n", map[string]string{"joe": "three", "anne smith": "-two"}},
		{[]string{"-D", file, "joe"}, "", map[string]string{"anne smith": "-two"}},
		{[]string{"-cb", "-H", "sha512-pbkdf2", "-I", "3", file, "bob", "four"}, "Adding password for user bob\n", map[string]string{"bob": "four"}},
	} {
		status, out, errs := unioPasswd(step.args...)
		if status != exit.OK || out != step.out || errs != "" {
			t.Errorf("%q: status %d, stdout %q, stderr %q", step.args, status, out, errs)
		}
		accepts(t, file, step.want)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "bob:$7$3$") {
		t.Errorf("file is %q, %v", text, err)
	}
}

func TestPasswdHashesAsAsked(t *testing.T) {
	t.Parallel()
	for hash, prefix := range map[string]string{
		"": "joe:$argon2id$v=19$m=47104,t=1,p=1$", "argon2id": "joe:$argon2id$", "sha512-pbkdf2": "joe:$7$1000$", "sha512": "joe:$6$",
	} {
		args := []string{"-c", "-b", "-", "joe", "secret"}
		if hash != "" {
			args = append([]string{"-H", hash}, args...)
		}
		status, out, errs := unioPasswd(args...)
		if status != exit.OK || errs != "" || !strings.HasPrefix(out, prefix) || strings.Count(out, "\n") != 1 {
			t.Errorf("-H %s: status %d, stdout %q, stderr %q", hash, status, out, errs)
		}
	}
}

func TestPasswdUpgradesPlainText(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwd")
	_, hashed, _ := unioPasswd("-c", "-b", "-H", "sha512", "-", "anne", "two")
	if err := os.WriteFile(file, []byte("joe:one\n"+hashed), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := unioPasswd("-H", "sha512-pbkdf2", "-U", file); status != exit.OK || out+errs != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
	accepts(t, file, map[string]string{"joe": "one", "anne": "two"})
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "joe:$7$") || !strings.HasSuffix(string(text), hashed) {
		t.Errorf("file is %q, %v", text, err)
	}
}

func TestPasswdAsksTwice(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwd")
	const prompts = "Password: \nReenter password: \n"
	status, out, errs := typed(t, "one two\r\none two\r\n", "-c", file, "joe")
	if status != exit.OK || out != prompts+"Adding password for user joe\n" || errs != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
	}
	accepts(t, file, map[string]string{"joe": "one two"})
	status, out, errs = typed(t, "x\nx", "-c", "-", "joe")
	if status != exit.OK || !strings.HasPrefix(out, "joe:$argon2id$") || errs != prompts {
		t.Errorf("to standard output: status %d, stdout %q, stderr %q", status, out, errs)
	}
	for _, c := range []struct {
		input  string
		status int
		errs   string
	}{
		{"one\ntwo\n", 2, "Error: passwords do not match\n"},
		{"", 1, "Error: empty password\n"},
		{"one\n", 1, "Error: empty password\n"},
		{strings.Repeat(strings.Repeat("x", 65536)+"\n", 2), 1, "Error: password must be less than 65536 characters long\n"},
	} {
		if status, _, errs := typed(t, c.input, file, "joe"); status != c.status || errs != c.errs {
			t.Errorf("input %.10q: status %d, stderr %q", c.input, status, errs)
		}
	}
	accepts(t, file, map[string]string{"joe": "one two"})
}

func TestPasswdMistakesHaveStatus1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, missing := filepath.Join(dir, "passwd"), filepath.Join(dir, "missing")
	const before = "joe:secret\nanne:$6$damaged\n"
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		errs string
	}{
		{[]string{}, ""},
		{[]string{"-c", "-D", file, "joe"}, "Error: -c and -D cannot be used together"},
		{[]string{"-c", "-U", file}, "Error: -c and -U cannot be used together"},
		{[]string{"-D", "-U", file}, "Error: -D and -U cannot be used together"},
		{[]string{"-b", "-D", file, "joe"}, "Error: -b and -D cannot be used together"},
		{[]string{"-I", "0", "-b", file, "joe", "x"}, "Error: number of iterations must be > 0"},
		{[]string{"-I", "x", "-b", file, "joe", "x"}, "Error: invalid argument"},
		{[]string{"-I", "2000000000", "-H", "sha512-pbkdf2", "-b", file, "joe", "x"}, "Error: expected 1 to 10000000 iterations"},
		{[]string{"-H", "md5", "-b", file, "joe", "x"}, "Error: unknown hash type 'md5', expected argon2id, sha512-pbkdf2, sha512"},
		{[]string{"-x"}, "Error: unknown shorthand flag"},
		{[]string{file}, "Error: expected FILE USERNAME, not 1 arguments"},
		{[]string{"-b", file, "joe"}, "Error: expected FILE USERNAME PASSWORD, not 2 arguments"},
		{[]string{"-U", file, "joe"}, "Error: expected FILE, not 2 arguments"},
		{[]string{"-b", file, "a:b", "x"}, "Error: username must not contain the ':' character"},
		{[]string{"-b", file, "a\nb", "x"}, "Error: username must not contain control characters"},
		{[]string{"-b", missing, "joe", "x"}, "Error: unable to open password file " + missing + ": there is none; -c creates it"},
		{[]string{"-c", "-b", dir, "joe", "x"}, "Error: unable to write password file " + dir},
		{[]string{"-D", file, "bob"}, "Warning: User bob not found in password file.\n"},
		{[]string{"-U", file}, "Error: " + file + ":2: expected $6$SALT$HASH"},
	} {
		status, _, errs := unioPasswd(c.args...)
		if status != exit.Failure || !strings.HasPrefix(errs, c.errs) {
			t.Errorf("%q: status %d, stderr %q; want %q", c.args, status, errs, c.errs)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != before {
		t.Errorf("a mistake changed the file to %q, %v", text, err)
	}
	if _, out, _ := unioPasswd(); !strings.Contains(out, "unio passwd -U FILE") && !strings.Contains(out, "-U FILE") {
		t.Errorf("usage is %q", out)
	}
}

func TestFilesOfMosquittoPasswdAreRead(t *testing.T) {
	t.Parallel()
	tool := testenv.Program(t, "mosquitto_passwd", "mosquitto")
	file := filepath.Join(t.TempDir(), "passwd")
	theirs := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd %q: %v\n%s", args, err, out)
		}
	}
	theirs("-c", "-b", file, "joe", "óne")
	theirs("-H", "sha512", "-b", file, "anne", "two")
	theirs("-H", "sha512-pbkdf2", "-b", file, "bob", "three")
	accepts(t, file, map[string]string{"joe": "óne", "anne": "two", "bob": "three"})
	// And it goes on with a file of ours.
	if status, _, errs := unioPasswd("-b", file, "eve", "four"); status != exit.OK {
		t.Fatal(errs)
	}
	theirs("-D", file, "anne")
	theirs("-b", file, "joe", "five")
	accepts(t, file, map[string]string{"joe": "five", "bob": "three", "eve": "four"})
}

func TestMosquittoAcceptsFilesOfPasswd(t *testing.T) {
	t.Parallel()
	mosquitto := testenv.Program(t, "mosquitto", "mosquitto")
	pub := testenv.Program(t, "mosquitto_pub", "mosquitto-clients")
	dir, err := os.MkdirTemp("", "unio-passwd") // not TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file, socket := filepath.Join(dir, "passwd"), filepath.Join(dir, "socket")
	for user, hash := range map[string]string{"joe": "sha512-pbkdf2", "anne": "sha512"} {
		args := []string{"-H", hash, "-b", file, user, user + "'s pässword"}
		if _, err := os.Stat(file); err != nil {
			args = append([]string{"-c"}, args...)
		}
		if status, _, errs := unioPasswd(args...); status != exit.OK {
			t.Fatal(errs)
		}
	}
	testenv.Mosquitto(t, mosquitto, "listener 0 "+socket, "password_file "+file)
	for _, c := range []struct {
		user, password string
		want           bool
	}{
		{"joe", "joe's pässword", true},
		{"anne", "anne's pässword", true},
		{"joe", "anne's pässword", false},
		{"anne", "", false},
	} {
		out, err := exec.Command(pub, "--unix", socket, "-u", c.user, "-P", c.password, "-t", "t", "-m", "m", "-q", "1").CombinedOutput()
		if (err == nil) != c.want {
			t.Errorf("user %s, password %q: %v\n%s", c.user, c.password, err, out)
		}
	}
}

func TestPasswdMakesCredentialsForSCRAM(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scram")
	for _, args := range [][]string{{"-H", "scram", "-c", "-b", path, "joe", "JOE"}, {"-H", "scram", "-I", "4096", "-b", path, "ann", "ANN"}, {"-H", "scram", "-b", path, "joe", "new"}} {
		if status, _, errOut := unioPasswd(args...); status != 0 {
			t.Fatalf("%q: status %d, %s", args, status, errOut)
		}
	}
	if _, err := scram.Load(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 3 || strings.Count(string(text), "#unknown-users ") != 1 || strings.Count(string(text), "$10000$") != 2 || strings.Count(string(text), "$4096$") != 2 {
		t.Errorf("the file is %q, %v", text, err)
	}
	for _, args := range [][]string{{"-H", "scram", "-I", "1000", "-b", path, "joe", "x"}, {"-H", "scram", "-U", path}} {
		if status, _, _ := unioPasswd(args...); status == 0 {
			t.Errorf("%q is accepted", args)
		}
	}
	if status, _, _ := unioPasswd("-U", path); status != 0 {
		t.Error("-U of such a file")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(text) {
		t.Errorf("-U changes credentials: %v", err)
	}
}
