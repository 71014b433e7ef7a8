// Package part says what a server is made of: parts in an order, each of which follows the
// configuration, begins and ends. A part that needs another one gets it when it is made.
package part

import (
	"context"
	"errors"

	"github.com/uniomq/unio/config"
)

// A Part is one of the things that a server is made of.
type Part interface {
	// Prepare reads all that the part needs for a configuration, files too, and changes nothing that
	// is in force. The error is a config.Errors if the configuration or a file of it is at fault.
	Prepare(cfg *config.Config) (Prepared, error)
	// Start begins the part's work. It is called once, after the first Use.
	Start() error
	// Close ends what Start has begun and releases what Use has taken, whether they were called or
	// not. It waits for the part's goroutines; ctx bounds the courtesies to others alone. It is
	// called once.
	Close(ctx context.Context) error
}

// Prepared is what a part has read. Either Use or Discard is called, once. Nil does nothing.
type Prepared struct {
	// Warnings say what of the configuration is used, but not as one may think.
	Warnings []config.Warning
	// Restart says, in a phrase each, what is another one than in force and cannot change.
	Restart []string

	Use     func() // puts it in force; it cannot fail
	Discard func() // releases it
}

// A List is parts in their order, and a Part itself. A part may use those before it.
type List []Part

// Prepare has all parts prepare. When one fails, what the others have prepared is discarded.
func (l List) Prepare(cfg *config.Config) (Prepared, error) {
	var all Prepared
	var each []Prepared
	all.Use = func() {
		for _, p := range each {
			call(p.Use)
		}
	}
	all.Discard = func() {
		for _, p := range each {
			call(p.Discard)
		}
	}
	for _, part := range l {
		p, err := part.Prepare(cfg)
		if err != nil {
			all.Discard()
			return Prepared{}, err
		}
		each = append(each, p)
		all.Warnings = append(all.Warnings, p.Warnings...)
		all.Restart = append(all.Restart, p.Restart...)
	}
	return all, nil
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// Start starts all parts in their order, until one fails.
func (l List) Start() error {
	for _, part := range l {
		if err := part.Start(); err != nil {
			return err
		}
	}
	return nil
}

// Close closes all parts, the last one first, also when some of them fail.
func (l List) Close(ctx context.Context) error {
	var errs []error
	for i := range l {
		errs = append(errs, l[len(l)-1-i].Close(ctx))
	}
	return errors.Join(errs...)
}

// A Setting is a part that has nothing but what it is set to: it is called with each configuration
// that comes in force.
type Setting func(cfg *config.Config)

// Prepare implements Part.
func (s Setting) Prepare(cfg *config.Config) (Prepared, error) {
	return Prepared{Use: func() { s(cfg) }}, nil
}

// Start implements Part.
func (Setting) Start() error { return nil }

// Close implements Part.
func (Setting) Close(context.Context) error { return nil }
