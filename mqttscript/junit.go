package mqttscript

import (
	"encoding/xml"
	"fmt"
	"io"
	"path"
	"strings"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes results as a JUnit XML report with one suite. A case's class
// is the script's folder, its name the script's with the version.
func WriteJUnit(w io.Writer, suite string, results []Result) error {
	report := junitSuite{Name: suite, Tests: len(results)}
	total := 0.0
	for _, r := range results {
		seconds := r.Duration.Seconds()
		total += seconds
		c := junitCase{
			Class: path.Dir(r.Script.Name),
			Name:  strings.TrimSuffix(path.Base(r.Script.Name), Extension) + " (MQTT " + VersionName(r.Version) + ")",
			Time:  fmt.Sprintf("%.3f", seconds),
		}
		switch r.Status {
		case Passed:
		case Failed:
			report.Failures++
			c.Failure = &junitMessage{Message: r.Reason, Text: r.Transcript()}
		case Skipped:
			report.Skipped++
			c.Skipped = &junitMessage{Message: r.Reason}
		}
		report.Cases = append(report.Cases, c)
	}
	report.Time = fmt.Sprintf("%.3f", total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(report); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}
