package access

import (
	"slices"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/acl"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/guard"
	"github.com/uniomq/unio/internal/auth/wiring"
	"github.com/uniomq/unio/internal/dynsec"
)

// security is what the password, ACL and rules files of a configuration say, and its files of dynamic security.
type security struct {
	auth     auth.Options
	acl      acl.Options                 // without the rules of dynamic security
	dynsec   map[string]*dynsec.Security // by listener
	rereads  []*dynsec.Reread            // that wait to be used
	bans     guard.Options
	warnings []config.Warning
}

// loadSecurity reads the files, each once, however many listeners name it, and makes the chains of the listeners with build, which may be
// nil for who asks about rules alone. The error is a config.Errors with all mistakes of all files: a file that cannot be read
// never means that there are no rules. Who calls it calls use or discard behind it.
func loadSecurity(cfg *config.Config, build *wiring.Build, open *opener) (*security, error) {
	s := &security{
		dynsec: map[string]*dynsec.Security{},
		auth: auth.Options{
			Listener:  auth.Listener{RefuseAnonymous: true}, // of no listener
			Listeners: map[string]auth.Listener{},
		},
		acl: acl.Options{Listeners: map[string][]*acl.Rules{}},
	}
	passwords, rules := map[string]*auth.Passwords{}, ruleFiles{}
	var mistakes config.Errors
	for i, l := range cfg.Listeners {
		if path := l.PasswordFile; path != "" && passwords[path] == nil {
			p, err := auth.LoadPasswords(path)
			if err == nil {
				s.warnings = append(s.warnings, p.Warnings()...)
			}
			passwords[path] = p
			at := cfg.Origin("password_file", i)
			mistakes = mistakes.Add(err, at.File, at.Line, "password_file")
		}
		for _, f := range filesOf(l) {
			at := cfg.Origin(f.option, i)
			mistakes = mistakes.Add(s.loadRules(rules, f), at.File, at.Line, f.option)
		}
		who := auth.Listener{Passwords: passwords[l.PasswordFile], RefuseAnonymous: !l.AllowAnonymous}
		if build != nil {
			who.Chain = build.Chain(i, who.Passwords)
		}
		if path := l.DynamicSecurity.ConfigFile; path != "" {
			sec, err := s.openDynsec(open, l.DynamicSecurity)
			at := l.DynamicSecurity.Origin(cfg)
			mistakes = mistakes.Add(err, at.File, at.Line, "plugin")
			s.dynsec[l.Name()] = sec
			who.Chain = slices.Insert(who.Chain, 0, auth.Backend(&dynsecBackend{sec}))
		}
		s.auth.Listeners[l.Name()] = who
		s.acl.Listeners[l.Name()] = rules.of(l)
	}
	if build != nil {
		mistakes = append(mistakes, build.Mistakes()...)
		s.warnings = append(s.warnings, build.Warnings()...)
	}
	s.bans = bans(cfg)
	if len(mistakes) > 0 {
		s.discard()
		if build != nil {
			build.Discard()
		}
		return nil, mistakes
	}
	return s, nil
}

// The options that name files with rules.
const (
	aclOption   = "acl_file"
	rulesOption = "rules_file"
)

// ruleFiles are files with rules that were read.
type ruleFiles map[ruleFile]*acl.Rules

type ruleFile struct{ option, path string }

// loadRules reads a file with rules, unless it was read before.
func (s *security) loadRules(rules ruleFiles, file ruleFile) error {
	if rules[file] != nil {
		return nil
	}
	var f interface {
		Compile() *acl.Rules
		Warnings() []config.Warning
	}
	var err error
	if file.option == aclOption {
		f, err = acl.Load(file.path)
	} else {
		f, err = acl.LoadRules(file.path)
	}
	if err != nil {
		return err
	}
	rules[file] = f.Compile()
	s.warnings = append(s.warnings, f.Warnings()...)
	return nil
}

// of returns the rules of a listener: what one file denies, the other one cannot allow.
func (f ruleFiles) of(l config.Listener) []*acl.Rules {
	var rules []*acl.Rules
	for _, file := range filesOf(l) {
		rules = append(rules, f[file])
	}
	return rules
}

// filesOf returns the files with rules that a listener has.
func filesOf(l config.Listener) []ruleFile {
	var files []ruleFile
	for _, f := range []ruleFile{{aclOption, l.ACLFile}, {rulesOption, l.RulesFile}} {
		if f.path != "" {
			files = append(files, f)
		}
	}
	return files
}

// shared returns options that mean the same and are looked up faster, for each message,
// if all listeners have the same rules or none has any.
func shared(o acl.Options) acl.Options {
	var first []*acl.Rules
	for _, rules := range o.Listeners {
		first = rules
		break
	}
	for _, rules := range o.Listeners {
		if !slices.Equal(rules, first) {
			return o
		}
	}
	return acl.Options{Rules: first}
}
