package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/bench"
)

func TestFiguresHaveThreeDigits(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0.426: "0.43", 9.99: "9.99", 10.46: "10.5", 123.4: "123", 1234: "1,230", 98765: "98,800", 1234567: "1,230,000"} {
		if got := figure(v); got != want {
			t.Errorf("%v: %s, expected %s", v, got, want)
		}
	}
}

func TestMedianLeavesOutWhatWentWrong(t *testing.T) {
	t.Parallel()
	run := func(each float64, err error) outcome {
		return outcome{&bench.Report{Phases: []bench.Phase{{Name: "publish", BrokerMicrosEach: each}}}, err}
	}
	all := []outcome{run(9, nil), run(1, nil), run(2, nil), run(0, nil), run(100, errors.New("lost"))}
	if v, ok := median(all, cpu("", "publish")); !ok || v != 2 {
		t.Errorf("%v, %v", v, ok)
	}
	if _, ok := median(all[3:], cpu("", "publish")); ok {
		t.Error("nothing went well, and there is a median")
	}
	if got, want := troubleOf(all), "lost (1 of 5 runs)"; got != want {
		t.Errorf("%q, expected %q", got, want)
	}
}

func someLines() []line {
	m := cpu("per message", "publish")
	return []line{
		{"ahead <&>", m, map[string]float64{"unio": 1, "a": 4, "b": 3}},
		{"behind", m, map[string]float64{"unio": 6, "a": 4}},
		{"even", m, map[string]float64{"unio": 1, "a": 0.96}},
		{"alone", m, map[string]float64{"unio": 1}},
		{"without us", m, map[string]float64{"a": 1}},
	}
}

func TestReportSaysWhereUnioLoses(t *testing.T) {
	t.Parallel()
	got, want := losses(someLines()), "- behind, per message: a needs 4.00 CPU us, Unio 6.00 (1.50 times as much)\n"
	if got != want {
		t.Errorf("%q, expected %q", got, want)
	}
	l := &lab{peers: []*peer{{name: "unio"}, {name: "a"}, {name: "b"}}, gone: []string{"c: not installed"}}
	text := l.markdown(someLines(), []string{"b, behind: lost"})
	for _, want := range []string{
		"| ahead <&> | per message, CPU us | 1.00 | 4.00 | 3.00 | 3.00 (b) |", "| behind | per message, CPU us | 6.00 | 4.00 | - | 0.67 (a) |",
		"Missing: c: not installed", "- b, behind: lost",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

func TestChartsAreXML(t *testing.T) {
	t.Parallel()
	curves := []curve{{"a & b", []point{{1000, 1}, {10_000, 2}}}, {"one", []point{{1000, 1.5}}}, {"none", nil}}
	for name, text := range map[string]string{
		"bars":  barChart("title", []string{"unio", "a", "b"}, someLines()),
		"empty": barChart("title", nil, nil),
		"lines": lineChart("title", "x", "y", curves), "point": lineChart("title", "x", "y", curves[1:2]), "nothing": lineChart("title", "x", "y", nil),
	} {
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
				break
			}
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s has a place that is no number:\n%s", name, text)
		}
	}
}

func TestScenariosAreThoseOfBench(t *testing.T) {
	t.Parallel()
	known := bench.Scenarios()
	for _, s := range scenarios(false) {
		found := false
		for _, k := range known {
			found = found || k == s.args[0]
		}
		if !found || len(s.metrics) == 0 {
			t.Errorf("%s: %v", s.name, s.args)
		}
	}
}
