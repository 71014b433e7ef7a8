package config

import (
	"path"
	"slices"
	"strings"
)

// DynamicSecurity is Mosquitto's dynamic security; without ConfigFile there is none.
type DynamicSecurity struct {
	// ConfigFile has clients, groups and roles.
	ConfigFile string
	// PasswordInitFile has the administrator's first password, for a ConfigFile that is not there yet.
	PasswordInitFile string
}

// Origin returns the line of the plugin.
func (d DynamicSecurity) Origin(c *Config) Origin { return c.dynamic[d] }

// plugin is one line that names a plugin, with its options. Mosquitto's own are built in, and nothing is loaded.
type plugin struct {
	kind    pluginKind
	option  string // of the line
	at      Origin
	section int
	options map[string]string
}

// pluginKind is one of Mosquitto's own plugins.
type pluginKind struct {
	name    string   // of its file, without what a system puts behind
	needed  string   // the option that it cannot do without
	options []string // all of them
	apply   func(*Listener, *plugin) (other string)
	whole   func(*parser, *plugin)          // what it does for the whole broker; there is no apply then
	check   func(option, text string) error // of its options; nil: all values are right
}

// builtin are the plugins that are built in. apply returns what the listener has already in place of what the plugin gives it.
var builtin = []pluginKind{
	{"mosquitto_acl_file", "acl_file", []string{"acl_file"}, func(l *Listener, p *plugin) string {
		return setPlace(&l.ACLFile, p.options["acl_file"])
	}, nil, nil},
	{"mosquitto_dynamic_security", "config_file", []string{"config_file", "password_init_file"}, func(l *Listener, p *plugin) string {
		l.DynamicSecurity.PasswordInitFile = p.options["password_init_file"]
		return setPlace(&l.DynamicSecurity.ConfigFile, p.options["config_file"])
	}, nil, nil},
	{"mosquitto_password_file", "password_file", []string{"password_file"}, func(l *Listener, p *plugin) string {
		return setPlace(&l.PasswordFile, p.options["password_file"])
	}, nil, nil},
	{"mosquitto_persist_sqlite", "", []string{"db_file", "flush_period", "page_size", "sync"}, nil, (*parser).persist, checkPersist},
}

// setPlace sets a path, unless another one is there.
func setPlace(to *string, path string) (other string) {
	if *to != "" && *to != path {
		return *to
	}
	*to = path
	return ""
}

// pluginSuffixes are what systems put behind the name of a plugin.
var pluginSuffixes = []string{".so", ".dll", ".dylib"}

// parsePlugin returns the built-in plugin that a path names by its last element.
func parsePlugin(file string) (pluginKind, error) {
	name := path.Base(strings.ReplaceAll(file, `\`, "/"))
	for _, suffix := range pluginSuffixes {
		name = strings.TrimSuffix(name, suffix)
	}
	names := make([]string, len(builtin))
	for i, b := range builtin {
		if b.name == name {
			return b, nil
		}
		names[i] = b.name
	}
	return pluginKind{}, problem("not available yet: plugins but for those that are built in, " + orList(names) + "; nothing is loaded from " + file)
}

// setPlugin handles plugin and global_plugin; to are the options of the broker or of a listener.
func setPlugin(t *target, to *security, section int, file string) error {
	p, err := t.newPlugin(section, file)
	to.plugins = append(to.plugins, p)
	return err
}

// newPlugin makes a plugin the one that plugin_opt_... lines belong to, even if it is not known: these would be mistakes otherwise.
func (p *parser) newPlugin(section int, file string) (*plugin, error) {
	kind, err := parsePlugin(file)
	p.plugin = &plugin{kind: kind, option: p.option, at: Origin{p.file, p.line}, section: section, options: map[string]string{}}
	if kind.whole != nil {
		p.whole = append(p.whole, p.plugin)
	}
	return p.plugin, err
}

// setPluginLoad handles plugin_load NAME PATH.
func setPluginLoad(t *target, v value) error {
	name, file := cutWord(v.text)
	if name == "" || file == "" {
		return expected("NAME PATH: a name for plugin_use, and the plugin's file")
	}
	if t.loaded[name] != nil {
		return problem("there is a plugin " + name + " already")
	}
	p, err := t.newPlugin(broker, file)
	if t.loaded == nil {
		t.loaded = map[string]*plugin{}
	}
	t.loaded[name] = p
	return err
}

// setPluginUse handles plugin_use NAME.
func setPluginUse(t *target, v value) error {
	p := t.loaded[v.text]
	if p == nil {
		return expected("the name of a plugin_load line above, not %q", v.text)
	}
	t.section.plugins = append(t.section.plugins, p)
	return nil
}

// setPluginOption handles plugin_opt_NAME.
func setPluginOption(t *target, v value) error {
	if t.plugin == nil {
		return expected("a plugin line above it")
	}
	name := strings.TrimPrefix(strings.TrimPrefix(t.option, "plugin_opt_"), "auth_opt_")
	known := slices.Contains(t.plugin.kind.options, name)
	switch _, twice := t.plugin.options[name]; {
	case known && twice:
		return problem("is given twice; it can have one value only")
	case known && t.plugin.kind.check != nil:
		if err := t.plugin.kind.check(name, v.text); err != nil {
			return err
		}
	case !known && t.plugin.kind.name != "":
		t.warn("%s has no such option; it is ignored", t.plugin.kind.name)
	}
	t.plugin.options[name] = v.text
	return nil
}

// applyPlugins does for a listener what its plugins, and those of the broker, are to do.
func (p *parser) applyPlugins(l *Listener, own *security) {
	for _, pl := range slices.Concat(own.plugins, p.security.plugins) {
		switch {
		case pl.kind.name == "", pl.kind.apply == nil: // that was told; it does nothing for a listener
		case pl.options[pl.kind.needed] == "":
			p.failAt(pl.at, pl.option, expected("plugin_opt_%s below it", pl.kind.needed))
		default:
			other := pl.kind.apply(l, pl)
			if p.cfg.dynamic == nil {
				p.cfg.dynamic = map[DynamicSecurity]Origin{}
			}
			if _, known := p.cfg.dynamic[l.DynamicSecurity]; !known {
				p.cfg.dynamic[l.DynamicSecurity] = pl.at
			}
			if other != "" {
				p.failAt(pl.at, pl.option, expected("one %s for a listener, and there is %s as well", pl.kind.needed, other))
			}
		}
	}
}

// pluginLine makes the line of a plugin or of its option one that is told together with the plugin.
func (p *parser) pluginLine(l *line, o *Option) {
	switch o.Name {
	case "plugin", "global_plugin", "plugin_load":
		l.repeated, l.word = true, o.Name
	case "plugin_opt_*":
		l.repeated, l.word = true, "plugin_opt_"+strings.TrimPrefix(strings.TrimPrefix(p.option, "plugin_opt_"), "auth_opt_")
		l.option, l.section = p.plugin.shown(), p.plugin.section
	}
}

// shown is the option that the plugin's lines are told with.
func (pl *plugin) shown() string {
	if pl.option == "auth_plugin" {
		return "plugin"
	}
	return pl.option
}
