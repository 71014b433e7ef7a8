package part_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/part"
)

// fake notes what is asked of it, and fails where told.
type fake struct {
	name  string
	fails string // "prepare", "start" or "close"
	notes *[]string
}

func (f fake) do(what string) error {
	*f.notes = append(*f.notes, what+" "+f.name)
	if what == f.fails {
		return errors.New(f.name)
	}
	return nil
}

func (f fake) Prepare(*config.Config) (part.Prepared, error) {
	p := part.Prepared{
		Warnings: []config.Warning{{Msg: f.name}}, Restart: []string{f.name},
		Use: func() { _ = f.do("use") }, Discard: func() { _ = f.do("discard") },
	}
	return p, f.do("prepare")
}

func (f fake) Start() error                { return f.do("start") }
func (f fake) Close(context.Context) error { return f.do("close") }

// three returns parts a, b and c, of which b fails in something.
func three(fails string) (part.List, *[]string) {
	notes := new([]string)
	return part.List{fake{"a", "", notes}, fake{"b", fails, notes}, fake{"c", "", notes}}, notes
}

func TestPartsComeInTheirOrder(t *testing.T) {
	t.Parallel()
	l, notes := three("")
	set := ""
	l = append(l, part.Setting(func(cfg *config.Config) { set = cfg.User }), part.List{})
	cfg := config.Default()
	cfg.User = "somebody"
	p, err := l.Prepare(cfg)
	if err != nil || set != "" {
		t.Fatalf("%v, and %q is in force", err, set)
	}
	p.Use()
	if set != "somebody" || len(p.Warnings) != 3 || !slices.Equal(p.Restart, []string{"a", "b", "c"}) {
		t.Errorf("%q, %v", set, p)
	}
	if err := errors.Join(l.Start(), l.Close(t.Context())); err != nil {
		t.Error(err)
	}
	want := "prepare a, prepare b, prepare c, use a, use b, use c, start a, start b, start c, close c, close b, close a"
	if got := strings.Join(*notes, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatOnePartRefusesNoneUses(t *testing.T) {
	t.Parallel()
	l, notes := three("prepare")
	if p, err := l.Prepare(config.Default()); err == nil || p.Use != nil {
		t.Errorf("%v", err)
	}
	if got, want := strings.Join(*notes, ", "), "prepare a, prepare b, discard a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAFailureAtTheStartEndsIt(t *testing.T) {
	t.Parallel()
	l, notes := three("start")
	if err := l.Start(); err == nil || strings.Join(*notes, ", ") != "start a, start b" {
		t.Errorf("%v %v", err, *notes)
	}
}

func TestAFailureAtTheEndDoesNotKeepOthersFromClosing(t *testing.T) {
	t.Parallel()
	l, notes := three("close")
	if err := l.Close(t.Context()); err == nil || strings.Join(*notes, ", ") != "close c, close b, close a" {
		t.Errorf("%v %v", err, *notes)
	}
}
