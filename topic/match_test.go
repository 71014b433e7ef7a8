package topic

import (
	"strings"
	"testing"
)

// matchCases are filters with names; it serves Match, Index and Names alike.
var matchCases = []struct {
	filter, name string
	want         bool
}{
	// The multi-level wildcard.
	{"sport/tennis/player1/#", "sport/tennis/player1", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
	{"sport/tennis/player1/#", "sport/tennis/player2", false},
	{"sport/tennis/player1/#", "sport/tennis", false},
	{"sport/tennis/player1/#", "sport/tennis/player10/ranking", false},
	{"sport/#", "sport", true},
	{"sport/#", "sport/", true},
	{"sport/#", "sports", false},
	{"sport/#", "sport-x/y", false},
	{"#", "a", true},
	{"#", "/", true},
	{"#", "a/b/c", true},
	{"/#", "/", true},
	{"/#", "/a", true},
	{"/#", "a", false},
	{"/#", "a/b", false},
	// The single-level wildcard.
	{"sport/tennis/+", "sport/tennis/player1", true},
	{"sport/tennis/+", "sport/tennis/player2", true},
	{"sport/tennis/+", "sport/tennis/player1/ranking", false},
	{"sport/tennis/+", "sport/tennis", false},
	{"sport/+", "sport", false},
	{"sport/+", "sport/", true},
	{"+", "a", true},
	{"+", "/a", false},
	{"+/+", "/finance", true},
	{"/+", "/finance", true},
	{"+", "/finance", false},
	{"+/tennis/#", "sport/tennis", true},
	{"+/tennis/#", "sport/tennis/x/y", true},
	{"+/tennis/#", "sport/golf/x", false},
	{"sport/+/player1", "sport/tennis/player1", true},
	{"sport/+/player1", "sport/tennis/player2", false},
	{"sport/+/player1", "sport/player1", false},
	{"sport/+/player1", "sport//player1", true},
	{"+/+/+", "a/b", false},
	{"+/+/+", "//", true},
	{"+/+/#", "a/b", true},
	{"+/+/#", "a", false},
	{"+/", "a/", true},
	{"+/", "a", false},
	// Names that start with $.
	{"#", "$SYS/broker", false},
	{"#", "$x", false},
	{"+", "$x", false},
	{"+/#", "$x", false},
	{"+/monitor/Clients", "$SYS/monitor/Clients", false},
	{"$SYS/#", "$SYS/", true},
	{"$SYS/#", "$SYS", true},
	{"$SYS/#", "$SYS/a/b", true},
	{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
	{"$SYS/+/Clients", "$SYS/monitor/Clients", true},
	{"#", "a/$x", true},
	{"a/+", "a/$x", true},
	{"/#", "/$x", true},
	{"+/$x", "a/$x", true},
	// No wildcards.
	{"a/b", "a/b", true},
	{"a/b", "a", false},
	{"a", "a/b", false},
	{"a", "a/", false},
	{"a/", "a", false},
	{"/finance", "finance", false},
	{"ACCOUNTS", "Accounts", false},
	{"Accounts payable", "Accounts payable", true},
	{"$x", "$x", true},
	{"É", "E\u0301", false}, // no normalization [MQTT-4.7.3-4]
	// Names on either side of a slash in the order of bytes.
	{"a/+", "a-b", false},
	{"a/+", "a0b", false},
	{"a/#", "a-b/c", false},
	{"a/#", "a0b/c", false},
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range matchCases {
		if got := Match(c.filter, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.name, got)
		}
	}
}

func TestMatchManyLevels(t *testing.T) {
	t.Parallel()
	slashes := strings.Repeat("/", 65535)
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{slashes, true},
		{"#", true},
		{slashes[:65534], false},
		{strings.Repeat("+/", 32767) + "#", true},
		{strings.Repeat("+/", 32767) + "+", false},
	} {
		if got := Match(c.filter, slashes); got != c.want {
			t.Errorf("Match(%.20q..., slashes) = %v", c.filter, got)
		}
	}
}

// source is what the random texts need of a rand.Rand.
type source interface{ IntN(n int) int }

func randomName(r source) string { return randomText(r, "a", "b", "c-d", "c", "", "$x", "é") }
func randomFilter(r source) string {
	f := randomText(r, "a", "b", "c-d", "c", "", "$x", "é", "+", "+", "+")
	switch r.IntN(6) {
	case 0:
		f += "/#"
	case 1:
		f = "#"
	}
	if f == "" {
		return "/"
	}
	return f
}

func randomText(r source, words ...string) string {
	levels := make([]string, 1+r.IntN(5))
	for i := range levels {
		levels[i] = words[r.IntN(len(words))]
	}
	if text := strings.Join(levels, "/"); text != "" {
		return text
	}
	return "/"
}
