//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
)

// stockFile is the commented configuration of Debian's package mosquitto.
const stockFile = "/usr/share/doc/mosquitto/examples/mosquitto.conf"

// stockLine is an option that is commented out: "#" and its name without a blank between.
var stockLine = regexp.MustCompile(`(?m)^#([a-z][a-z0-9_.]*)(?:[ \t]+(.*))?$`)

// listLine is an option of a list.
var listLine = regexp.MustCompile(`(?m)^([a-z][a-z0-9_.]*)(?: (.*))?$`)

// TestEachOptionOfTheStockFilesStartsOrSaysWhatIsMissing switches the options of Mosquitto's commented configurations
// on one by one, 2.0's from Debian's package and 2.1's from a list of its options and values, and all others that the parser knows.
func TestEachOptionOfTheStockFilesStartsOrSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	testenv.File(t, stockFile, "mosquitto")
	files := map[string]map[string]string{ // values by word
		"2.0":    commented(t, stockFile, stockLine, 80),
		"2.1":    commented(t, "testdata/stock-2.1.txt", listLine, 116),
		"others": {},
	}
	for _, o := range config.Options() {
		for _, word := range append([]string{o.Name}, o.Aliases...) {
			// Our own for authentication do not stand alone: see TestEachOptionOfAuthenticationStarts.
			if _, there := files["2.0"][word]; !there && (o.Since != "Unio" || !strings.HasPrefix(word, "auth_")) {
				files["others"][strings.Replace(word, "*", "x", 1)] = o.Default
			}
		}
	}
	for name, lines := range files {
		for word, value := range lines {
			t.Run(name+"/"+word, func(t *testing.T) {
				t.Parallel()
				switchOn(t, optionOf(word), word, value)
			})
		}
	}
}

// commented returns the options of a stock file, which are so many at least.
func commented(t *testing.T, path string, line *regexp.Regexp, least int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, match := range line.FindAllStringSubmatch(string(text), -1) {
		if optionOf(match[1]) != nil {
			lines[match[1]] = match[2]
		}
	}
	if len(lines) < least {
		t.Errorf("only %d options in %s", len(lines), path)
	}
	return lines
}

// optionOf returns the option that a word names, or nil.
func optionOf(word string) *config.Option {
	all := config.Options()
	for i := range all {
		for _, name := range append([]string{all[i].Name}, all[i].Aliases...) {
			prefix, cut := strings.CutSuffix(name, "*")
			if name == word || cut && strings.HasPrefix(word, prefix) {
				return &all[i]
			}
		}
	}
	return nil
}

// switchOn starts a broker whose file has one option.
func switchOn(t *testing.T, o *config.Option, word, value string) {
	listener := fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t))
	a := clitest.NewAuthority(t, "ca")
	line := word + " " + sample(t, o, value, a)
	lines := []string{listener, line}
	switch {
	case o.Name == "port":
		lines = []string{"bind_address 127.0.0.1", line}
	case o.Name == "bind_address":
		lines = []string{line, "port " + strconv.Itoa(testenv.FreePort(t))}
	case o.Name == "listener":
		lines = []string{line}
	case o.Name == "per_listener_settings":
		lines = []string{line, listener}
	case o.Name == "plugin_opt_*":
		lines = []string{listener, "plugin mosquitto_acl_file.so", line}
	case o.Name == "plugin_use":
		lines = append(append([]string{"plugin_load x mosquitto_acl_file.so"}, companions(t, "plugin", a)...), listener, line)
	case o.Scope == config.PerBridge && o.Name != "connection":
		lines = []string{listener, "connection x", line}
	}
	lines = append(lines, companions(t, o.Name, a)...)
	path := clitest.File(t, lines...)
	p := clitest.Run(t, "-c", path)
	if o.State != config.Refused {
		p.Await("running$|status")
		p.Terminate()
		return
	}
	status := p.Status()
	missing := regexp.MustCompile(regexp.QuoteMeta(path) + `:\d+: (` + regexp.QuoteMeta(word) + `|connection): .*not available yet`)
	if !slices.Contains([]int{exit.Invalid, exit.Plugin}, status) || !missing.MatchString(p.Text()) {
		t.Errorf("%s: status %d:\n%s", line, status, p.Text())
	}
}

// companions returns the lines that an option needs beside it.
func companions(t *testing.T, option string, a *clitest.Authority) []string {
	certificate, key := filepath.Join(a.Dir, "ca.crt"), filepath.Join(a.Dir, "ca.key")
	switch option {
	case "plugin", "global_plugin", "plugin_load", "plugin_opt_*":
		return []string{"plugin_opt_acl_file " + sample(t, &config.Option{Name: "acl_file"}, "", a)}
	case "certfile":
		return []string{"keyfile " + key}
	case "keyfile":
		return []string{"certfile " + certificate}
	case "cafile", "capath", "ciphers", "ciphers_tls1.3", "disable_client_cert_date_checks", "tls_version", "use_identity_as_username", "use_subject_as_username":
		return []string{"certfile " + certificate, "keyfile " + key}
	case "require_certificate":
		return []string{"certfile " + certificate, "keyfile " + key, "cafile " + certificate}
	case "psk_hint":
		path := filepath.Join(t.TempDir(), "psk")
		if err := os.WriteFile(path, []byte("device:0123456789abcdef\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"psk_file " + path}
	case "http_dir", "websockets_origin", "websockets_forwarded_for":
		return []string{"protocol websockets"}
	case "proxy_protocol_v2_require_tls":
		return []string{"enable_proxy_protocol 2"}
	}
	return nil
}

// sample returns the value to switch an option on with: that of the stock file if it is
// one that works here.
func sample(t *testing.T, o *config.Option, value string, a *clitest.Authority) string {
	dir := t.TempDir()
	switch o.Name {
	case "certfile", "cafile":
		return filepath.Join(a.Dir, "ca.crt")
	case "keyfile":
		return filepath.Join(a.Dir, "ca.key")
	case "capath":
		return a.Dir
	case "http_dir", "acme_cache":
		return dir
	case "acme_domain":
		return "example.org"
	case "crlfile":
		return filepath.Join(dir, "crl") // is not read: without cafile it lists nothing
	case "ciphers":
		return "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
	case "ciphers_tls1.3":
		return "TLS_AES_128_GCM_SHA256"
	case "tls_version":
		return "tlsv1.3"
	case "acl_file", "password_file", "psk_file", "rules_file":
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	case "plugin", "global_plugin":
		return "/usr/lib/mosquitto_acl_file.so"
	case "plugin_load":
		return "x mosquitto_acl_file.so"
	case "include_dir":
		return dir
	case "audit_log":
		return filepath.Join(dir, "audit")
	case "pid_file":
		return filepath.Join(dir, "pid")
	case "bind_address":
		return "127.0.0.1"
	case "bind_interface":
		return "lo"
	case "port":
		return strconv.Itoa(testenv.FreePort(t))
	case "listener":
		return strconv.Itoa(testenv.FreePort(t)) + " 127.0.0.1"
	case "persistent_client_expiration":
		return "14d"
	case "accept_protocol_versions":
		return "4, 5"
	case "max_packet_size": // the stock file's 0 is a mistake for Mosquitto, too
		return "20"
	case "log_type":
		return "all" // with the line that the test waits for
	case "user":
		return "root"
	}
	switch {
	case o.Kind == config.Bool && o.State == config.Refused:
		return "true" // false asks for nothing
	case o.Repeated && value != "":
		return strings.Fields(value)[0]
	case value != "":
		return value
	case o.Kind == config.Bool:
		return "true"
	case o.Kind == config.Number:
		return "1"
	case o.Kind == config.Word:
		return o.Words[0]
	}
	return "x"
}
