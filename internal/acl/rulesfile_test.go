package acl

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/mqtt"
)

// mustParseRules returns the rules of a text that is correct.
func mustParseRules(t testing.TB, text string) *RulesFile {
	t.Helper()
	f, err := parseRules("rules", []byte(text))
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, text)
	}
	return f
}

// ann is a client of which everything is known.
func ann() *broker.Client {
	return &broker.Client{
		ID: "dev-7", Username: "ann", HasUsername: true, Version: mqtt.V5, CleanStart: true, HasWill: true,
		RemoteAddr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 40000}, LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 8883},
		Listener: "*:8883",
		Transport: &broker.Transport{
			TLS: "TLSv1.3", CommonName: "ann.example", Subject: "CN=ann.example,O=Example", Names: []string{"a.example", "b.example"},
			Fingerprint: strings.Repeat("ab", 32), PSKIdentity: "key1",
		},
		Attributes: map[string][]string{"group": {"ops", "dev"}, "role": {"editor"}, "dept": {"x", "y"}, "bad": {"a/b", "+", ""}},
	}
}

func TestEachConditionHoldsAndFails(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("ab", 32)
	colons := strings.ToUpper(strings.TrimSuffix(strings.Repeat("ab:", 32), ":"))
	holds := map[string][]string{
		"user":           {"ann", "a*", "*", "bob,ann", `"ann"`, `a"n"n`},
		"anonymous":      {"no"},
		"client":         {"dev-7", "dev-*", "*7", "d*-*7", "dev-7*"},
		"group":          {"ops", "none,dev", "local", "o*"},
		"role":           {"editor"},
		"attribute.dept": {"y", "x,z"},
		"address":        {"10.0.0.0/8", "10.1.2.3", "::1,10.1.0.0/16", "::ffff:10.1.2.3"},
		"listener":       {"*:8883", `"*:8883"`},
		"port":           {"8883", "1883,8000..9000", "8883..", "..8883"},
		"tls":            {"yes"},
		"cn":             {"ann.example", "%u.example"},
		"san":            {"b.example"},
		"subject":        {`"CN=ann.example,O=Example"`},
		"fingerprint":    {hex, colons},
		"psk":            {"key1"},
		"version":        {"5", "5.0", "3.1.1,5"},
		"clean-start":    {"yes"},
		"has-will":       {"yes"},
		"qos":            {"1", "0..1", "0,1", "1.."},
		"retain":         {"yes"},
		"dup":            {"yes"},
		"size":           {"100", "..100", "50..200"},
	}
	fails := map[string][]string{
		"user":           {"Ann", "an", "ann?", `"a*"`, "%c", `""`},
		"anonymous":      {"yes"},
		"client":         {"dev", "ev-7", "dev-*-7", "7*dev"},
		"group":          {"other", "op"},
		"role":           {"ops"},
		"attribute.dept": {"z", "xy"},
		"attribute.no":   {"*"},
		"address":        {"11.0.0.0/8", "10.1.2.4", "::/0"},
		"listener":       {"*:1883"},
		"port":           {"1883", "8884..", "..8882"},
		"tls":            {"no"},
		"cn":             {"ann", "%c.example"},
		"san":            {"ann.example"},
		"subject":        {"*O=Other"},
		"fingerprint":    {strings.Repeat("0", 64)},
		"psk":            {"key2"},
		"version":        {"3.1", "3.1.1"},
		"clean-start":    {"no"},
		"has-will":       {"no"},
		"qos":            {"0", "2", "0,2"},
		"retain":         {"no"},
		"dup":            {"no"},
		"size":           {"99", "101..", "..99"},
	}
	tried := map[string]bool{}
	for want, all := range map[bool]map[string][]string{true: holds, false: fails} {
		for key, values := range all {
			tried[key] = true
			for _, value := range values {
				for _, op := range []string{"=", "!="} {
					text := "group local client=dev-*\nallow publish topic=t " + key + op + value
					q := broker.Access{Client: ann(), Action: broker.ActionPublish, Topic: []byte("t"), QoS: 1, Retain: true, Dup: true, Size: 100}
					if got := New(Options{Rules: []*Rules{mustParseRules(t, text).Compile()}}).Authorize(q); got != (want == (op == "=")) {
						t.Errorf("%s%s%s: %v", key, op, value, got)
					}
				}
			}
		}
	}
	for text, want := range map[string]bool{
		"shared=yes": true, "shared=no": false, "share=g1": true, "share=g*": true, "share=%u": false, "shared!=no": true, "share!=g1": false, "qos=1": true, "qos=2": false,
	} {
		q := broker.Access{Client: ann(), Action: broker.ActionSubscribe, Topic: []byte("t"), QoS: 1, Share: "g1"}
		if strings.HasPrefix(text, "share") {
			tried[strings.TrimSuffix(strings.SplitN(text, "=", 2)[0], "!")] = true
		}
		if got := mustParseRules(t, "allow subscribe topic=t "+text).Compile().Authorize(q); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, k := range keys {
		if !tried[strings.Replace(k.name, "NAME", "dept", 1)] {
			t.Errorf("%s is not tried", k.name)
		}
	}
}

// TestWhatIsNotThereFulfilsNoCondition asks about a client of which nothing is known.
func TestWhatIsNotThereFulfilsNoCondition(t *testing.T) {
	t.Parallel()
	for _, k := range keys {
		if k.question || k.kind == kindYesNo || k.kind == kindVersion {
			continue
		}
		value := map[kind]string{kindText: "*", kindNumber: "1..", kindAddress: "0.0.0.0/0,::/0", kindHex: strings.Repeat("0", 64)}[k.kind]
		q := broker.Access{Client: &broker.Client{ID: "", RemoteAddr: &net.UnixAddr{}}, Action: broker.ActionPublish, Topic: []byte("t")}
		for op, want := range map[string]bool{"=": k.id == keyClient || k.id == keyListener, "!=": k.id != keyClient && k.id != keyListener} {
			text := "allow publish topic=t " + strings.Replace(k.name, "NAME", "x", 1) + op + value
			if got := mustParseRules(t, text).Compile().Authorize(q); got != want {
				t.Errorf("%s: %v", text, got)
			}
		}
	}
}

func TestAllMistakesOfARulesFileAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	lines := []struct{ line, want string }{
		{"permit publish topic=a", "expected allow, deny, group, default or combine, not permit"},
		{"allow", "expected actions behind it, such as publish or read"},
		{"allow publish,fly topic=a", "expected actions with commas between them, of connect, publish, will, receive, subscribe, unsubscribe, read and write, not publish,fly"},
		{"allow publish", "expected topic=FILTER; topic=# is every topic that does not begin with $"},
		{"allow connect topic=a", "expected no topic with connect"},
		{"allow publish topic=a/#/b", "a/#/b: misplaced wildcard"},
		{"allow publish topic=", "expected topic=FILTER"},
		{"allow publish topic=a topic=b", "expected topic once; several values have commas between them"},
		{"allow publish topic=%x", `expected %u, %c, %i, %n, %g or %{ATTRIBUTE} behind the percent sign, or another one, not "x"`},
		{"allow publish topic=a%", `expected %u, %c, %i, %n, %g or %{ATTRIBUTE} behind the percent sign, or another one, not ""`},
		{"allow publish topic=%g/%g", errManyValues.Error()},
		{"allow publish topic=a filter=b", "filter is a condition of subscribe, unsubscribe, not of publish, will: expected topic="},
		{"allow publish topic!=a", "expected topic=, without !"},
		{"allow publish topic=a user", "expected KEY=VALUE or KEY!=VALUE, not user"},
		{"allow publish topic=a user=", `expected a value in user=; "" is an empty one`},
		{"allow publish topic=a user=a,", `expected a value in user=a,; "" is an empty one`},
		{`allow publish topic=a user="ann`, `expected a closing quote "`},
		{`allow publish topic=a user="a\n"`, `expected \" or \\ behind the backslash in quotes`},
		{"allow publish topic=a username=x", "expected a condition, not username: is user meant?"},
		{"allow publish topic=a attribute.=x", "expected a condition, not attribute."},
		{"allow publish topic=a qos=3", `expected a number from 0 to 2, or a range such as 0..2, for qos, not "3"`},
		{"allow publish topic=a qos=2..1", `expected a number from 0 to 2, or a range such as 0..2, for qos, not "2..1"`},
		{"allow publish topic=a retain=true", "expected retain=yes or retain=no, not retain=true"},
		{"allow publish topic=a address=10.0.0.1/8", "expected the network 10.0.0.0/8, not the address 10.0.0.1/8 in it"},
		{"allow publish topic=a address=ten", `expected an IP address or a network such as 10.0.0.0/8 or fd00::/8, not "ten"`},
		{"allow publish topic=a fingerprint=ab", `expected the 64 hexadecimal digits of a SHA-256, not "ab"`},
		{"allow publish topic=a version=4", `expected version 3.1, 3.1.1 or 5, not "4"`},
		{"allow publish topic=a priority=x", "expected priority=N, from -1000000 to 1000000, not priority=x"},
		{"allow read topic=a retain=no", "retain is a condition of publish, will, receive, not of subscribe"},
		{"allow connect qos=1", "qos is a condition of publish, will, receive, subscribe, not of connect"},
		{"allow connect,publish user=a", "expected connect in a rule of its own: the other actions need a topic"},
		{"group ops", "expected `group NAME CONDITION...`, with conditions about the client"},
		{"group user=a user=b", "expected `group NAME CONDITION...`, with conditions about the client"},
		{"group ops qos=1", "expected a condition about the client, and not its groups, not qos=1"},
		{"combine last", "expected `combine first` or `combine deny`"},
		{"default maybe", "expected `default allow|deny [ACTION,...]`"},
		{"default deny connect", ""},
		{"default allow connect", "expected one default for connect, and line 37 has it"},
		{"allow publish topic=a\x00b", errText.Error()},
		{"allow publish topic=" + strings.Repeat("a/", 200) + "b", errTooDeep.Error()},
	}
	var text, want strings.Builder
	for i, l := range lines {
		text.WriteString(l.line + "\n")
		if l.want != "" {
			e := mistake.Error{File: "f", Line: i + 1, Msg: l.want}
			if strings.HasSuffix(l.want, errTooDeep.Error()) {
				e.Msg = strings.TrimPrefix(l.line, "allow publish topic=") + ": " + l.want
			}
			for _, prefix := range []string{"topic=%x", "topic=a%", "topic=%g/%g"} {
				if strings.HasSuffix(l.line, prefix) {
					e.Msg = strings.TrimPrefix(prefix, "topic=") + ": " + l.want
				}
			}
			want.WriteString(e.Error() + "\n")
		}
	}
	_, err := parseRules("f", []byte(text.String()))
	var mistakes mistake.Errors
	if !errors.As(err, &mistakes) {
		t.Fatalf("error is %v", err)
	}
	var got strings.Builder
	for _, m := range mistakes {
		got.WriteString(m.Error() + "\n")
	}
	if got.String() != want.String() {
		t.Errorf("mistakes:\n%s\nwant:\n%s", &got, &want)
	}
}

func TestRulesThatDoNotWhatTheySeemAreWarnedOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                                               {"rules: there are no rules: nobody may publish or receive anything"},
		"allow read topic=$share/g/a":                                    {"rules:1: never matches: name the filter of shared subscriptions without $share/GROUP/"},
		"allow write topic=$SYS/x":                                       {"rules:1: only the broker publishes below $SYS, whatever the rules say"},
		"allow subscribe topic=a":                                        {"rules:1: clients may subscribe, but nothing lets them receive messages: is read meant?"},
		"allow connect user=a":                                           {"rules:1: changes nothing: connect is allowed by default; `default deny connect` changes that"},
		"deny connect user!=a":                                           nil,
		"allow read topic=a group=g":                                     {"rules:1: there is no line `group g`: only the authentication can put clients into that group"},
		"group g user=a\nallow read topic=a":                             {"rules:1: no rule asks for the group g"},
		"group g user=a\nallow read topic=%g/a":                          nil,
		"allow read topic=a anonymous=yes user=x":                        {"rules:1: never matches: a client without a user name has none that could match"},
		"allow read topic=%u/a anonymous=yes":                            {"rules:1: never matches: a client without a user name has no %u"},
		"allow read topic=a tls=no cn=x":                                 {"rules:1: never matches: without TLS there is no cn"},
		"deny subscribe topic=a share=x shared=no":                       {"rules:1: never matches: a subscription that is not shared has no share"},
		"allow write topic=a/#\ndeny write topic=a/b user=x":             {"rules:2: never decides: line 1 comes first and matches whatever it matches"},
		"allow write topic=a/# priority=-1\ndeny write topic=a/b user=x": nil,
		"combine deny\nallow write topic=a/#\ndeny write topic=a/b":      nil,
		"combine deny\nallow write topic=a/b\ndeny write topic=a/#":      {"rules:2: never decides: line 3 comes first and matches whatever it matches"},
		"allow write topic=a/# user=x\nallow write topic=a/b":            nil,
		"allow read topic=a/#\ndeny read topic=a/#":                      nil, // a subscription to # is about it
		"allow publish topic=%u/#\ndeny publish topic=%u/#":              nil, // a user name with a slash is about it
	} {
		var got []string
		for _, w := range mustParseRules(t, text).Warnings() {
			got = append(got, w.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestUnreadableRulesFileIsAnError(t *testing.T) {
	t.Parallel()
	f, err := LoadRules(t.TempDir())
	var mistakes mistake.Errors
	if f != nil || !errors.As(err, &mistakes) || !strings.Contains(err.Error(), "the rules file cannot be read") {
		t.Errorf("LoadRules = %v, %v", f, err)
	}
}
