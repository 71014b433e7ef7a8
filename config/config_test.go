package config_test

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/config"
)

var update = flag.Bool("update", false, "write the golden files and the tables of the manual")

func TestFilesGiveTheirGoldenConfiguration(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			cfg, err := config.Load(file)
			golden(t, strings.TrimSuffix(file, ".conf")+".golden", dump(cfg, err))
		})
	}
}

// golden compares a text with a file, or writes the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// dump shows the mistakes of a configuration, or what in it is not the default.
func dump(cfg *config.Config, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	got, def := reflect.ValueOf(*cfg), reflect.ValueOf(*config.Default())
	for i := range got.NumField() {
		if !got.Type().Field(i).IsExported() {
			continue
		}
		name, value := got.Type().Field(i).Name, got.Field(i).Interface()
		switch {
		case name == "Listeners":
			for _, l := range cfg.Listeners {
				fmt.Fprintf(&b, "Listener:%s\n", changed(reflect.ValueOf(l), reflect.ValueOf(plain)))
			}
		case name == "Warnings":
			for _, w := range cfg.Warnings {
				fmt.Fprintf(&b, "Warning: %s\n", w)
			}
		case !reflect.DeepEqual(value, def.Field(i).Interface()):
			fmt.Fprintf(&b, "%s: %+v\n", name, value)
		}
	}
	return b.String()
}

// plain is a listener without options.
var plain = config.Listener{
	AllowZeroLengthClientID: true, AutoIDPrefix: "auto-", MaxConnections: config.NoLimit, MaxQoS: 2, MaxTopicAlias: 10,
	MaxTopicAliasBroker: 10, MaxHTTPConnections: 1000,
}

// changed shows the fields of a struct that are not as another one's.
func changed(got, def reflect.Value) string {
	var b strings.Builder
	for i := range got.NumField() {
		if name, value := got.Type().Field(i).Name, got.Field(i); value.Kind() == reflect.Struct {
			b.WriteString(changed(value, def.Field(i)))
		} else if !reflect.DeepEqual(value.Interface(), def.Field(i).Interface()) {
			fmt.Fprintf(&b, " %s:%+v", name, value.Interface())
		}
	}
	return b.String()
}

func TestDefaultIsLoopbackWithAnonymousClients(t *testing.T) {
	cfg := config.Default()
	if !cfg.LocalOnly || len(cfg.Listeners) != 2 {
		t.Fatalf("%+v", cfg)
	}
	for i, address := range []string{"127.0.0.1", "::1"} {
		want := plain
		want.Port, want.Address, want.AllowAnonymous = 1883, address, true
		if !reflect.DeepEqual(cfg.Listeners[i], want) {
			t.Errorf("got  %+v\nwant %+v", cfg.Listeners[i], want)
		}
	}
	cfg.Listeners = nil
	want := &config.Config{
		LocalOnly: true, MaxConnections: config.NoLimit, MaxClients: config.NoLimit, MaxInflightMessages: 20,
		MaxQueuedMessages: 1000, MaxSubscriptions: 10000, MaxSharedSubscriptions: 100, CheckRetainSource: true,
		MaxPacketSize: 2_000_000, RetainAvailable: true, SetTCPNoDelay: true, ConnectionMessages: true,
		MaxUnauthenticated: 10000, ConnectTimeout: 10 * time.Second,
		Ban: config.Ban{
			Attempts: 20, Window: 5 * time.Minute, Time: 10 * time.Minute, Delay: 2 * time.Second, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		},
		PersistenceFile: "mosquitto.db", User: "mosquitto", SysInterval: 10 * time.Second,
		Log: config.Log{
			Facility: config.NoFacility,
			Types:    config.LogError | config.LogWarning | config.LogNotice | config.LogInformation,
			Stderr:   true, Timestamp: true,
		},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
}

func TestUsePortsReplacesTheDefaultPortOnly(t *testing.T) {
	local := config.Default()
	local.UsePorts(11, 12)
	var got []string
	for _, l := range local.Listeners {
		got = append(got, fmt.Sprint(l.Address, " ", l.Port))
	}
	want := []string{"127.0.0.1 11", "::1 11", "127.0.0.1 12", "::1 12"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	named := parse(t, "listener 1884\n")
	named.UsePorts(11)
	if len(named.Listeners) != 1 || named.Listeners[0].Port != 1884 {
		t.Errorf("a listener of the file was replaced: %+v", named.Listeners)
	}
}

func TestAFileThatIsNotThereIsAnError(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none.conf"), t.TempDir()} {
		_, err := config.Load(path)
		var mistake *config.Error
		if !errors.As(err, &mistake) || mistake.File != path || mistake.Line != 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestALineThatIsTooLongIsAnErrorWithItsNumber(t *testing.T) {
	_, err := config.Parse("long.conf", strings.NewReader("max_qos 1\nuser "+strings.Repeat("a", 1<<20)))
	var mistake *config.Error
	if !errors.As(err, &mistake) || mistake.Line != 2 {
		t.Errorf("got %v", err)
	}
}

func TestErrorsHoldEachMistake(t *testing.T) {
	_, err := config.Parse("two.conf", strings.NewReader("max_qos 7\n\nallow_anonymous perhaps\n"))
	var all config.Errors
	if !errors.As(err, &all) || len(all) != 2 {
		t.Fatalf("got %v", err)
	}
	want := config.Error{File: "two.conf", Line: 3, Option: "allow_anonymous", Msg: `expected true or false, not "perhaps"`}
	if *all[1] != want {
		t.Errorf("got %+v, want %+v", *all[1], want)
	}
}

func TestTheExamplesAreValidConfigurations(t *testing.T) {
	files, err := filepath.Glob("../examples/*.conf")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		cfg, err := config.Load(file)
		if err != nil {
			t.Error(err)
		} else if len(cfg.Warnings) > 0 {
			t.Errorf("warnings: %v", cfg.Warnings)
		}
	}
}

func TestSettingsHaveTheirOrigins(t *testing.T) {
	for _, name := range []string{"all", "include", "per-listener", "empty", "home", "plugins", "plugins-per-listener"} {
		cfg, err := config.Load("testdata/" + name + ".conf")
		if err != nil {
			t.Fatal(err)
		}
		if name == "empty" {
			cfg.UsePorts(1999)
			cfg.SetLogTypes(config.LogAll)
		}
		var out strings.Builder
		if n, err := cfg.WriteTo(&out); err != nil || n != int64(out.Len()) {
			t.Errorf("%d bytes, %v", n, err)
		}
		golden(t, "testdata/"+name+".settings", out.String())
	}
}

func TestWhatIsWrittenReadsBackAsTheSame(t *testing.T) {
	for _, name := range []string{"all", "home", "port", "plugins-global", "plugins-per-listener"} {
		cfg, err := config.Load("testdata/" + name + ".conf")
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if _, err := cfg.WriteTo(&text); err != nil {
			t.Fatal(err)
		}
		var lines []string // text goes to the end of its line: no comments
		for line := range strings.Lines(text.String()) {
			line, _, _ = strings.Cut(line, " # ")
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "include_dir ") {
				lines = append(lines, line)
			}
		}
		again := parse(t, "per_listener_settings true\n"+strings.Join(lines, "\n"))
		if got, want := dump(again, nil), dump(cfg, nil); got != want {
			t.Errorf("%s:\n%s\ngot:\n%s\nwant:\n%s", name, strings.Join(lines, "\n"), got, want)
		}
	}
}

// FuzzParse checks that a configuration has listeners or mistakes, whatever the file.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.conf")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include_dir") {
			return // would read any folder
		}
		cfg, err := config.Parse("fuzz.conf", strings.NewReader(text))
		switch {
		case err != nil && len(err.(config.Errors)) == 0:
			t.Error("an error without mistakes")
		case err == nil && len(cfg.Listeners) == 0:
			t.Error("no listeners")
		}
	})
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.conf", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
