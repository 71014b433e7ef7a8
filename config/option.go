package config

import (
	"fmt"
	"strings"
)

// Option describes one word that a configuration file may contain.
type Option struct {
	// Name is the word; one that ends in "*" stands for all words with that prefix.
	Name string
	// Aliases are other spellings with the same meaning.
	Aliases []string
	// Kind is the kind of value.
	Kind Kind
	// Scope says what the option applies to.
	Scope Scope
	// State says what Unio does with the option.
	State State
	// Min and Max bound a Number; Lowest says that what is below Min counts as Min.
	Min, Max int64
	Lowest   bool
	// Words are the values of a Word.
	Words []string
	// Syntax is how a Fields value is written.
	Syntax string
	// Unit is what a Number counts.
	Unit string
	// Default is the value without such a line, as a file would say it; the values
	// of a repeated option are separated by spaces. Empty for none.
	Default string
	// Repeated says that several lines add up.
	Repeated bool
	// Fixed says that a reload does not change it: the broker must be started anew.
	Fixed bool
	// Since is the first version of Mosquitto that has the option, "Unio" for one of
	// our own, or empty for one that was there before 2.0.
	Since string
	// Later names the work that is to bring an option that is not available.
	Later string
	// Doc is one line: what the option does or, for one that is not available, what
	// happens without it.
	Doc string

	// inert is the value of a not available option that asks for nothing.
	inert string
	// auth stores a value in an Auth; nil for an option that is none of authentication.
	auth func(*Auth, value) error
	// set stores a value; nil for an option that is not available.
	set func(*target, value) error
}

// Kind is a kind of value.
type Kind uint8

// The kinds of value.
const (
	Bool     Kind = iota // true or false, also 1 or 0
	Number               // an integer between Min and Max
	Text                 // the rest of the line, spaces included
	Word                 // one of Words
	Duration             // a number and one of s, h, d, w, m (30 days), y (365 days)
	Fields               // several words, as Syntax says
)

// Scope is what an option applies to.
type Scope uint8

// The scopes.
const (
	// Global options apply to the whole broker.
	Global Scope = iota
	// PerListener options apply to the listener above them.
	PerListener
	// Security options apply to all listeners or, after per_listener_settings true,
	// to the listener above them.
	Security
	// PerBridge options apply to the bridge above them.
	PerBridge
)

// State is what Unio does with an option.
type State uint8

// The states.
const (
	// Available options work.
	Available State = iota
	// NoEffect options are accepted, and there is nothing to do for them.
	NoEffect
	// Refused options are not available yet, and a broker without them would be less
	// safe or another one than the file asks for: it does not start.
	Refused
)

// String returns the scope in the words of the manual.
func (s Scope) String() string {
	return [...]string{"broker", "listener", "broker or listener", "bridge"}[s]
}

// Values says which values the option takes.
func (o *Option) Values() string {
	switch o.Kind {
	case Bool:
		return "true or false"
	case Number:
		values := fmt.Sprintf("%d to %d", o.Min, o.Max)
		if o.Unit != "" {
			values += " " + o.Unit
		}
		if o.Lowest {
			values += fmt.Sprintf("; less counts as %d", o.Min)
		}
		return values
	case Text:
		return "text"
	case Word:
		return orList(o.Words)
	case Duration:
		return "a number and one of s h d w m y"
	case Fields:
		return o.Syntax
	}
	return ""
}

// orList returns "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// The functions below make the rows of the table. A field function returns the
// place where an option's value is stored.

// integer are the types of the fields that hold numbers.
type integer interface {
	~int | ~int64 | ~byte | ~uint16 | ~uint32
}

func brokerBool(name, def, doc string, field func(*Config) *bool) Option {
	return Option{Name: name, Kind: Bool, Default: def, Doc: doc, set: func(t *target, v value) error {
		*field(t.cfg) = v.on
		return nil
	}}
}

func brokerNumber[T integer](name string, low, high int64, unit, def, doc string, field func(*Config) *T) Option {
	return Option{
		Name: name, Kind: Number, Min: low, Max: high, Unit: unit, Default: def, Doc: doc,
		set: func(t *target, v value) error {
			*field(t.cfg) = T(v.number)
			return nil
		},
	}
}

func brokerText(name, doc string, field func(*Config) *string) Option {
	return Option{Name: name, Kind: Text, Doc: doc, set: func(t *target, v value) error {
		return setOnce(field(t.cfg), v.text)
	}}
}

func listenerText(name, doc string, field func(*Listener) *string) Option {
	return Option{Name: name, Kind: Text, Scope: PerListener, Doc: doc, set: func(t *target, v value) error {
		return setOnce(field(&t.section.Listener), v.text)
	}}
}

func listenerBool(name, def, doc string, field func(*Listener) *bool) Option {
	return Option{Name: name, Kind: Bool, Scope: PerListener, Default: def, Doc: doc, set: func(t *target, v value) error {
		*field(&t.section.Listener) = v.on
		return nil
	}}
}

func securityText(name, doc string, field func(*security) *string) Option {
	return Option{Name: name, Kind: Text, Scope: Security, Doc: doc, set: func(t *target, v value) error {
		return setOnce(field(t.security), v.text)
	}}
}

func listenerNumber[T integer](name string, low, high int64, unit, def, doc string, field func(*Listener) *T) Option {
	return Option{
		Name: name, Kind: Number, Scope: PerListener, Min: low, Max: high, Unit: unit, Default: def, Doc: doc,
		set: func(t *target, v value) error {
			*field(&t.section.Listener) = T(v.number)
			return nil
		},
	}
}

// setOnce stores a text, which Mosquitto takes once only.
func setOnce(field *string, text string) error {
	if *field != "" {
		return problem("is given twice; it can have one value only")
	}
	*field = text
	return nil
}

// lowest makes values below Min count as Min.
func (o Option) lowest() Option {
	o.Lowest = true
	return o
}

// fixed makes an option one that a reload does not change.
func (o Option) fixed() Option {
	o.Fixed = true
	return o
}

// alias adds another spelling.
func (o Option) alias(names ...string) Option {
	o.Aliases = names
	return o
}

// The next two make rows of options that are not available.

// noEffect is an option that needs no doing; doc says why.
func noEffect(name string, scope Scope, kind Kind, doc string) Option {
	return Option{Name: name, Kind: kind, Scope: scope, State: NoEffect, Doc: doc}.anyNumber()
}

// refused is an option that the broker does not start with. The value inert asks for nothing.
func refused(name string, scope Scope, kind Kind, inert, doc string) Option {
	return Option{Name: name, Kind: kind, Scope: scope, State: Refused, Doc: doc, inert: inert}.anyNumber()
}

// anyNumber gives an option the range of a C int, which is Mosquitto's.
func (o Option) anyNumber() Option {
	if o.Kind == Number {
		o.Min, o.Max = -1<<31, 1<<31-1
	}
	return o
}
