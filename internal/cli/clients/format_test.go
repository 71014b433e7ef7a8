package clients

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// formatMessages are what the golden file prints.
func formatMessages() []*mqtt.Publish {
	full := &mqtt.Publish{QoS: 1, Retain: true, PacketID: 7, Topic: []byte("a/b"), Payload: []byte(`hello "w"`)}
	p := &full.Properties
	p.SetPayloadFormat(1)
	p.SetMessageExpiry(100)
	p.SetContentType("text/plain")
	p.SetResponseTopic("re/to")
	p.SetCorrelationData([]byte(`x"y`))
	p.AddSubscriptionID(9)
	p.SetTopicAlias(3)
	p.AddUser("n1", "v1")
	p.AddUser("n2", "v2")
	return []*mqtt.Publish{
		full,
		{Topic: []byte("a"), Payload: []byte(`{"z":1.50, "a":[1, 2.0, true, {}], "n":null, "e":1e3, "u":"\u00e9\/\n", "b":12345678901234567890, "i":1e999}`)},
		{QoS: 2, PacketID: 65535, Topic: []byte("$SYS/é"), Payload: []byte("\xff\x01\b\f\n\r\té\\")},
		{Topic: []byte("empty")},
	}
}

// TestFormatsPrintAsInTheGoldenFile reads formats, one a line behind "> ", and compares
// what follows. With UNIO_UPDATE_GOLDEN set it writes the file again.
func TestFormatsPrintAsInTheGoldenFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", "formats.golden")
	golden, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		<-time.After(36*time.Hour + 123456789*time.Nanosecond) // to 2000-01-02, a Sunday
		for line := range strings.Lines(string(golden)) {
			text, isFormat := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "> ")
			if !isFormat {
				continue
			}
			got.WriteString(line)
			cfg := newClientConfig(toolSub, "unio sub")
			if rest, pretty := strings.CutPrefix(text, "--pretty "); pretty {
				cfg.pretty, text = true, rest
			}
			if cfg.format, err = parseFormat(text); err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			pr := printer{cfg, newOutput(&got, &got, false)}
			for _, m := range formatMessages() {
				pr.print(message{m, time.Now().UTC()})
			}
		}
	})
	if os.Getenv("UNIO_UPDATE_GOLDEN") != "" {
		const mode = 0o644
		if err := os.WriteFile(name, got.Bytes(), mode); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got.Bytes(), golden) {
		t.Errorf("printed:\n%s\nwant:\n%s", got.Bytes(), golden)
	}
}

func TestWrongFormatsAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"%": "Error: Incomplete format specifier.", "%0": "Error: Incomplete format specifier.",
		"%-10.2": "Error: Incomplete format specifier.", "@": "Error: Incomplete format specifier.",
		"a%y": "Error: Invalid format specifier 'y'.", `\`: "Error: Incomplete escape specifier.",
		`\y`: "Error: Invalid escape specifier 'y'.",
	} {
		if _, err := parseFormat(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	f, err := parseFormat("%999999999t")
	if err != nil || f.pieces[0].width != widest {
		t.Errorf("a width has no bound: %+v, %v", f, err)
	}
}

func TestTimesPrintAsWithStrftime(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 3, 1, 0, 5, 9, 42, time.FixedZone("X", 5400)) // a Sunday
	for verb, want := range map[byte]string{
		'C': "20", 'g': "26", 'G': "2026", 'k': " 0", 'l': "12", 'n': "\n", 'N': "000000042", 'P': "am", 's': "1772318109",
		't': "\t", 'u': "7", 'U': "09", 'V': "09", 'w': "0", 'W': "08", 'a': "Sun", 'j': "060", 'p': "AM", 'z': "+0130",
		'Z': "X", 'e': " 1", 'F': "2026-03-01", 'T': "00:05:09", 'I': "12", 'y': "26", 'Q': "%Q",
	} {
		if got := string(appendTime(nil, verb, when)); got != want {
			t.Errorf("@%c: %q, want %q", verb, got, want)
		}
	}
}

func TestNestedPayloadIsNoJSONBeyondABound(t *testing.T) {
	t.Parallel()
	for depth, valid := range map[int]bool{deepest: true, 3 * deepest: false} {
		w := &jsonWriter{}
		err := w.copy([]byte(strings.Repeat("[", depth) + strings.Repeat("]", depth)))
		if (err == nil) != valid {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
	for _, text := range []string{"", "x", "1 2", "{", `{"a":}`, "[1,]", `{"a" 1}`} {
		if err := (&jsonWriter{}).copy([]byte(text)); err == nil {
			t.Errorf("%q is taken for JSON", text)
		}
	}
}

func FuzzFormat(f *testing.F) {
	f.Add(`%020x|%-10.4C|@Y\n%%`, []byte(`{"a":[1,2.5e7]}`))
	f.Add("%J", []byte(`"\ud800"`))
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		cfg := newClientConfig(toolSub, "unio sub")
		var err error
		if cfg.format, err = parseFormat(text); err != nil {
			return
		}
		var out bytes.Buffer
		printer := printer{cfg, newOutput(&out, &out, false)}
		printer.print(message{&mqtt.Publish{Topic: []byte("t"), Payload: payload}, time.Unix(0, 0)})
		if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			t.Errorf("%q printed %q", text, out.Bytes())
		}
	})
}
