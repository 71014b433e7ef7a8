package mqttscript

import (
	"fmt"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// Status is the outcome of a run.
type Status uint8

// The outcomes.
const (
	Passed Status = iota
	Failed
	Skipped
)

// String returns ok, FAIL or skip.
func (s Status) String() string {
	switch s {
	case Passed:
		return "ok"
	case Failed:
		return "FAIL"
	case Skipped:
		return "skip"
	}
	return fmt.Sprintf("Status(%d)", s)
}

// Result is the outcome of one run of a script.
type Result struct {
	Script   *Script
	Version  mqtt.Version
	Status   Status
	Reason   string // why it failed or was skipped
	Line     int    // of the failure, counted from 1
	Duration time.Duration

	came   map[int][]string // received packets by the line that took them
	unread []string         // what else had come when it failed
}

// String returns one line: the outcome, the script, the version and, unless it
// passed, the reason.
func (r Result) String() string {
	head := fmt.Sprintf("%-4s %s (MQTT %s)", r.Status, r.Script.Name, VersionName(r.Version))
	switch r.Status {
	case Failed:
		return fmt.Sprintf("%s line %d: %s", head, r.Line, r.Reason)
	case Skipped:
		return head + ": " + r.Reason
	default:
		return head
	}
}

// Transcript returns the script with line numbers and, below each line that
// received something, what came, marked "=". Below the line that failed, marked
// ">", stand the reason and all that was not yet read, marked "!".
func (r Result) Transcript() string {
	var b strings.Builder
	b.WriteString(r.String())
	b.WriteByte('\n')
	for i, text := range r.Script.source {
		n := i + 1
		mark := ' '
		if r.Status == Failed && n == r.Line {
			mark = '>'
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("%c%4d  %s", mark, n, text), " ") + "\n")
		for _, got := range r.came[n] {
			b.WriteString("    =  " + got + "\n")
		}
		if mark == '>' {
			r.writeFailure(&b)
		}
	}
	return b.String()
}

func (r Result) writeFailure(b *strings.Builder) {
	b.WriteString("    !  " + r.Reason + "\n")
	if len(r.unread) == 0 {
		b.WriteString("    !  nothing was left unread\n")
	}
	for _, got := range r.unread {
		b.WriteString("    !  " + got + "\n")
	}
}
