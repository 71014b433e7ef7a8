package mqttscript_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/mqttscript"
)

// accepted has scripts that are valid, with the versions that they run for.
var accepted = []struct {
	name, src string
	versions  []mqtt.Version
}{
	{"empty", "", []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5}},
	{"only comments", "# a\n  # b\n\n", []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5}},
	{"versions", "versions 5 3.1.1", []mqtt.Version{mqtt.V311, mqtt.V5}},
	{"versions 3", "versions 3", []mqtt.Version{mqtt.V31, mqtt.V311}},
	{"versions 5.0 named twice", "versions 5.0 5", []mqtt.Version{mqtt.V5}},
	{"rc serves all versions", "a < PUBACK pid=1 rc=0|0x10", []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5}},
	{"own version", "a > CONNECT version=5 session-expiry=1\nversions 3", []mqtt.Version{mqtt.V31, mqtt.V311}},
	{"CRLF", "a > CONNECT id=a\r\na < CONNACK ...\r\n", []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5}},
	{
		"all of the verbs",
		"needs x y-z\nbroker restart\nbroker kill\nbroker option max_keepalive \"6 0\"\n" +
			"a > RAW 10 00 \"x\" 3*00 2*\"ab\"\na < RAW 20\na < EOF\na > PINGREQ\na close\nb > PINGREQ\na|b quiet\nwait 1h2m\n" +
			"unordered {\n # in between\n a < PINGRESP\n}\na|b < PINGRESP",
		[]mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5},
	},
	{
		"patterns", "a < PUBLISH q1 pid=$p topic=a|\"b|c\" payload=*\na > PUBACK pid=$p\na < PUBLISH dup=0|1 retain pid=1..3|7 ...",
		[]mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5},
	},
	{
		"every packet that a client sends",
		"versions 5\na > CONNECT id=\"\" clean=0 keepalive=1 user=u pass=0x00 will-topic=w will-payload=0xff will-qos=1 will-retain " +
			"will-delay=1 will-format=1 will-expiry=2 will-content-type=t will-response-topic=r will-correlation=0x01 will-prop=\"a=b\" " +
			"session-expiry=1 receive-max=2 max-packet=3 alias-max=4 request-problem=0 request-response=1 auth-method=m auth-data=d prop=a=b\n" +
			"a > PUBLISH q2 dup retain pid=1 topic=t payload=10*\"x\" format=1 expiry=2 alias=3 content-type=c response-topic=r correlation=0x00 subid=1 prop=a=\n" +
			"a > PUBACK pid=1 rc=0x80 reason=r prop=a=b\na > PUBREC pid=1\na > PUBREL pid=1\na > PUBCOMP pid=1\n" +
			"a > SUBSCRIBE pid=1 subid=2 prop=a=b a/+ q1 nl rap rh=2 \"#\" $share/g/a q0 \"k=v\" q2\n" +
			"a > UNSUBSCRIBE pid=1 a/+ \"#\" prop=a=b\na > PINGREQ\na > AUTH rc=0x18 auth-method=m auth-data=d reason=r prop=a=b\n" +
			"a > DISCONNECT rc=4 session-expiry=1 reason=r prop=a=b server-ref=s",
		[]mqtt.Version{mqtt.V5},
	},
	{
		"every packet that a broker sends",
		"versions 5\na < CONNACK session=1 rc=0 session-expiry=1 receive-max=1 max-qos=1 retain-available=0 max-packet=1 assigned-id=i alias-max=1 " +
			"reason=r prop=a=b wildcard-available=1 subid-available=1 shared-available=1 server-keepalive=1 response-info=r server-ref=s auth-method=m auth-data=d\n" +
			"a < SUBACK pid=1 rc=0 rc=1 reason=r\na < UNSUBACK pid=1 rc=0 rc=0x11\na < DISCONNECT rc=0x8e server-ref=s\na < AUTH rc=0 auth-method=m\n" +
			"a < PUBLISH q0 topic=t subid=1 subid=2 prop=a=b prop=a=b",
		[]mqtt.Version{mqtt.V5},
	},
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for _, c := range accepted {
		s, err := mqttscript.Parse(c.name, []byte(c.src))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !slices.Equal(s.Versions, c.versions) {
			t.Errorf("%s: versions %v, want %v", c.name, s.Versions, c.versions)
		}
	}
}

// refused has lines that are mistakes, with a part of the message.
var refused = []struct{ src, want string }{
	{"frobnicate", "what about frobnicate"},
	{"a ! PINGREQ", "expected after a: >, <, close or quiet"},
	{"a/b > PINGREQ", "neither a keyword nor a client's name"},
	{"a|a < PINGRESP", "a stands twice"},
	{"a|b > PINGREQ", "one client at a time can send"},
	{"a|b close", "one client at a time can close"},
	{"a|b < EOF", "expected: NAME < EOF"},
	{"a close now", "close takes nothing more"},
	{"a >", "a packet expected"},
	{"a <", "a packet expected"},
	{"a > PUNLISH", `unknown packet "PUNLISH"`},
	{"a > PINGRESP", "a client sends no PINGRESP"},
	{"a < SUBSCRIBE pid=1 a", "a broker sends no SUBSCRIBE"},
	{"a > CONNECT id=a ...", "... is for received packets"},
	{"a < CONNACK ... session=0", "... comes last"},
	{"a > CONNECT id=a id=b", "id= stands twice"},
	{"a > CONNECT idd=a", `CONNECT has no field "idd"; it has: version id clean`},
	{"a > PINGREQ x=1", `PINGREQ has no field "x"; it has: none`},
	{"a > CONNECT keepalive=65536", "not within 0..65535"},
	{"a > CONNECT keepalive=many", "a number expected"},
	{"a > CONNECT clean=2", "not within 0..1"},
	{"a > CONNECT version=4", "3.1, 3.1.1 or 5 expected"},
	{"a > CONNECT will-qos=1", "will-qos= without will-topic="},
	{"a > CONNECT id=a|b", "not one value to send"},
	{"a > CONNECT id=*", "not one value to send"},
	{"a > CONNECT keepalive=1..2", "not one value to send"},
	{"a > CONNECT id=$x", "$x is captured by no earlier line"},
	{`a > CONNECT id="a`, "a quoted text is not closed"},
	{`a > CONNECT id=a"b"`, "a quote inside the bare text"},
	{`a > CONNECT id="\q"`, "bad escape"},
	{"a > CONNECT id=65536*x", "more than 65535 bytes"},
	{"a > CONNECT pass=0x123", "hex digits expected"},
	{"a > CONNECT session-expiry=1", "session-expiry= does not exist in MQTT 3.1"},
	{"versions 3.1.1\na > SUBSCRIBE pid=1 a/b nl", "nl= does not exist in MQTT 3.1.1"},
	{"versions 5\na > CONNECT version=3.1\na > PUBLISH topic=t expiry=1", "expiry= does not exist in MQTT 3.1"},
	{"versions 3 5\na > AUTH rc=0", "AUTH does not exist in MQTT 3.1"},
	{"a > PUBLISH q1 topic=t", "needs pid="},
	{"a < PUBLISH q1 topic=t", "needs pid="},
	{"a > PUBLISH q3 pid=1 topic=t", "QoS 3 needs RAW"},
	{"a > PUBLISH topic=t payload=999999999*x", "more than"},
	{"a > PUBACK", "PUBACK needs pid="},
	{"a < SUBACK pid=1", "SUBACK needs rc="},
	{"a > SUBSCRIBE pid=1 q1 a/b", "stands before the first filter"},
	{"a < PUBACK pid=3..1", "not within"},
	{"a > RAW", "RAW without bytes"},
	{"a > RAW 1", "hex digits expected"},
	{"a > RAW xx", "hex digits expected"},
	{"a > RAW 99999999*00", "more than"},
	{"unordered\na < PINGRESP\n}", "unordered takes only {"},
	{"unordered {\na < PINGRESP", "unordered { is not closed"},
	{"unordered {\n}", "is empty"},
	{"unordered {\na > PINGREQ\n}", "within unordered"},
	{"unordered {\na|b < PINGRESP\n}", "within unordered"},
	{"}", "} stands alone"},
	{"wait", "expected: wait DURATION"},
	{"wait -3s", "is no duration"},
	{"wait 3", "is no duration"},
	{"broker reboot", "broker restart"},
	{"broker option x", "broker option KEY VALUE"},
	{"versions", "one versions line"},
	{"versions 5\nversions 3", "one versions line"},
	{"versions 4", "unknown version"},
	{"needs", "needs takes one name"},
	{"needs a=b", "is no name"},
	{"spec 5 3.1.1-1", "expected: spec VERSION: ID"},
	{"spec 6: 3.1.1-1", "unknown version"},
	{"spec 5: MQTT-3.1.1-1", "no statement id"},
	{"spec 5: 3.1.1", "no statement id"},
}

func TestParseRefusesWithFileAndLine(t *testing.T) {
	t.Parallel()
	for _, c := range refused {
		_, err := mqttscript.Parse("x.mqtt", []byte(c.src))
		var mistake *mqttscript.Error
		if !errors.As(err, &mistake) {
			t.Errorf("%q: error %v, want %q", c.src, err, c.want)
			continue
		}
		if !strings.Contains(mistake.Text, c.want) || !strings.HasPrefix(err.Error(), "x.mqtt:") {
			t.Errorf("%q: error %q, want %q", c.src, err, c.want)
		}
	}
	_, err := mqttscript.Parse("dir/x.mqtt", []byte("# one\n\na > CONNECT\na > NONSENSE\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "dir/x.mqtt:4: ") {
		t.Errorf("line of the mistake: %v", err)
	}
}

func TestParseLiteralsOfAScriptAreBounded(t *testing.T) {
	t.Parallel()
	line := "a > PUBLISH topic=t payload=16000000*x\n"
	if _, err := mqttscript.Parse("two", []byte(line+line)); err != nil {
		t.Error(err)
	}
	if _, err := mqttscript.Parse("three", []byte(line+line+line)); err == nil {
		t.Error("a script with 48 MB of literals was accepted")
	}
}

func TestParseHeader(t *testing.T) {
	t.Parallel()
	s, err := mqttscript.Parse("x", []byte("spec 5: 3.3.2-5 3.3.2-6\nspec 3.1.1: 1.5.3-1\nneeds a\nneeds b c\nwait 2s\nwait 1m"))
	if err != nil {
		t.Fatal(err)
	}
	want := []mqttscript.Statement{{Version: mqtt.V5, ID: "3.3.2-5"}, {Version: mqtt.V5, ID: "3.3.2-6"}, {Version: mqtt.V311, ID: "1.5.3-1"}}
	if !slices.Equal(s.Spec, want) || s.Spec[0].String() != "5: 3.3.2-5" {
		t.Errorf("Spec = %v", s.Spec)
	}
	if !slices.Equal(s.Needs, []string{"a", "b", "c"}) {
		t.Errorf("Needs = %v", s.Needs)
	}
	if s.Waits() != 62*time.Second {
		t.Errorf("Waits = %v", s.Waits())
	}
	if !s.For(mqtt.V31) || s.For(6) {
		t.Error("For is wrong")
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"v5/b.mqtt":     {Data: []byte("a > PINGREQ")},
		"v5/a.mqtt":     {Data: []byte("# nothing")},
		"v5/sub/c.mqtt": {Data: []byte("# nothing")},
		"v5/README":     {Data: []byte("not a script")},
		"bad/1.mqtt":    {Data: []byte("x")},
		"bad/2.mqtt":    {Data: []byte("\ny")},
		"none/x":        {},
	}
	scripts, err := mqttscript.Load(files, "v5", "v5/a.mqtt", "v5/README")
	if err == nil || !strings.Contains(err.Error(), "v5/README:1") || len(scripts) != 3 {
		t.Errorf("Load = %d scripts, %v", len(scripts), err)
	}
	scripts, err = mqttscript.Load(files, "v5")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range scripts {
		names = append(names, s.Name)
	}
	if want := []string{"v5/a.mqtt", "v5/b.mqtt", "v5/sub/c.mqtt"}; !slices.Equal(names, want) {
		t.Errorf("Load = %v, want %v", names, want)
	}
	_, err = mqttscript.Load(files, "bad")
	if err == nil || !strings.Contains(err.Error(), "bad/1.mqtt:1") || !strings.Contains(err.Error(), "bad/2.mqtt:2") {
		t.Errorf("mistakes in two files: %v", err)
	}
	if _, err := mqttscript.Load(files, "none"); err == nil {
		t.Error("a folder without scripts was accepted")
	}
	if _, err := mqttscript.Load(files, "absent"); err == nil {
		t.Error("an absent folder was accepted")
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range accepted {
		f.Add(c.src)
	}
	for _, c := range refused {
		f.Add(c.src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, err := mqttscript.Parse("fuzz", []byte(src))
		var mistake *mqttscript.Error
		switch {
		case err == nil && len(s.Versions) == 0:
			t.Error("a script for no version")
		case err != nil && !errors.As(err, &mistake):
			t.Errorf("an error of another type: %v", err)
		case err != nil && (mistake.Line < 1 || mistake.Line > strings.Count(src, "\n")+1):
			t.Errorf("line %d", mistake.Line)
		}
	})
}
