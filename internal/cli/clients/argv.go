package clients

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

// This file is the one place where arguments are changed before the flag library sees
// them. Two things of Mosquitto's tools it cannot express:
//
//   - -D takes three or four arguments. They become one, joined by argumentSeparator.
//   - Options come from a file too, before those of the command line.

// argumentSeparator joins the arguments of -D. No argument of a process can hold it.
const argumentSeparator = "\x00"

// parse reads the options: those of the file, then args.
func (c *clientConfig) parse(args []string) error {
	fs := c.flagSet()
	fromFile, err := c.optionsFile(fs, args)
	if err != nil {
		return err
	}
	for _, part := range [][]string{fromFile, args} {
		joined, err := joinProperties(fs, part)
		if err != nil {
			return err
		}
		if err := fs.Parse(joined); err != nil {
			return flagError(err)
		}
		if c.rest = fs.Args(); len(c.rest) > 0 && c.tool != toolCtrl {
			return badUsage("Unknown option '%s'.", c.rest[0])
		}
		if c.help || c.showVersion {
			return nil
		}
	}
	return nil
}

// flagError turns an error of the flag library into Mosquitto's words.
func flagError(err error) error {
	var usage *usageError
	var missing *pflag.ValueRequiredError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &usage):
		return usage
	case errors.As(err, &missing):
		flag := missing.GetFlag()
		name := "--" + flag.Name
		if flag.Shorthand != "" {
			name = "-" + flag.Shorthand
		}
		if flag.Name == "protocol-version" {
			name = "--" + flag.Name
		}
		if flag.Name == "max-inflight" {
			return badArgument("-M argument given but max_inflight not specified.")
		}
		return badArgument("%s argument given but no %s specified.", name, argumentNoun(flag.Name))
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			return badUsage("Unknown option '-%s'.", name)
		}
		return badUsage("Unknown option '--%s'.", name)
	}
	return badUsage("%v", err)
}

// argumentNouns are the words for the arguments in the error that one is missing, where
// they are not the option's name.
var argumentNouns = map[string]string{
	"bind": "address", "cafile": "file", "capath": "directory", "cert": "file", "count": "count",
	"file": "file", "format": "format", "id-prefix": "id prefix", "key": "file",
	"psk": "key", "psk-identity": "identity", "proxy": "proxy url", "pw": "password", "qos": "QoS",
	"random-filter": "chance", "repeat": "count", "repeat-delay": "time", "response-topic": "response topic",
	"session-expiry-interval": "session expiry interval", "filter-out": "topic filter", "tls-alpn": "protocol",
	"tls-version": "version", "unsubscribe": "unsubscribe topic", "unix": "socket path", "url": "URL",
	"protocol-version": "version", "will-payload": "will payload", "will-qos": "will QoS",
	"will-topic": "will topic", "options-file": "file", "tls-keylog": "file", "tls-engine": "engine_id",
	"tls-engine-kpass-sha1": "kpass sha1", "retain-handling": "value",
}

func argumentNoun(flag string) string {
	if noun, ok := argumentNouns[flag]; ok {
		return noun
	}
	return flag
}

// isPropertyFlag reports whether an argument is the option -D.
func isPropertyFlag(arg string) bool { return arg == "-D" || arg == "--property" }

// joinProperties makes one argument of the three or four behind each -D.
func joinProperties(fs *pflag.FlagSet, args []string) ([]string, error) {
	var out []string
	for i := 0; i < len(args); i++ {
		out = append(out, args[i])
		if !isPropertyFlag(args[i]) {
			if takesArgument(fs, args[i]) && i+1 < len(args) {
				i++
				out = append(out, args[i])
			}
			continue
		}
		n := 3
		if len(args) > i+2 && args[i+2] == "user-property" {
			n = 4
		}
		if len(args) <= i+n {
			return nil, badArgument("--property argument given but not enough arguments specified.")
		}
		out = append(out, strings.Join(args[i+1:i+1+n], argumentSeparator))
		i += n
	}
	return out, nil
}

// takesArgument reports whether arg is an option whose argument is the next one.
func takesArgument(fs *pflag.FlagSet, arg string) bool {
	var flag *pflag.Flag
	if long, ok := strings.CutPrefix(arg, "--"); ok {
		flag = fs.Lookup(long)
	} else if len(arg) == 2 && arg[0] == '-' {
		flag = fs.ShorthandLookup(arg[1:])
	}
	return flag != nil && flag.NoOptDefVal == ""
}

// optionsFile returns the options of the file that -o names or, without -o, of the
// user's default one, which may be absent.
func (c *clientConfig) optionsFile(fs *pflag.FlagSet, args []string) ([]string, error) {
	for i := 0; i+1 < len(args); i++ {
		if args[i] == "-o" || args[i] == "--options-file" {
			options, err := readOptions(args[i+1])
			if err != nil {
				return nil, failed("Error: Unable to open config file \"%s\".", args[i+1])
			}
			return options, nil
		}
		if takesArgument(fs, args[i]) {
			i++
		}
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	if home := os.Getenv("HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".config")
	}
	if dir == "" {
		return nil, nil
	}
	options, err := readOptions(filepath.Join(dir, c.tool.linkName()))
	if err != nil {
		return nil, nil //nolint:nilerr // it is the user's choice to have none
	}
	return options, nil
}

// readOptions reads a file of options: one a line, its argument behind the first blank,
// # for comments.
func readOptions(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var options []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		option, argument, found := strings.Cut(line, " ")
		options = append(options, option)
		switch {
		case !found:
		case isPropertyFlag(option):
			options = append(options, splitProperty(argument)...)
		default:
			options = append(options, argument)
		}
	}
	return options, lines.Err()
}

// splitProperty splits the rest of a -D line: the last value takes what remains.
func splitProperty(s string) []string {
	n := 3
	if f := strings.Fields(s); len(f) > 1 && f[1] == "user-property" {
		n = 4
	}
	var parts []string
	for len(parts) < n-1 {
		part, rest, found := strings.Cut(strings.TrimLeft(s, " "), " ")
		parts = append(parts, part)
		if s = rest; !found {
			return parts
		}
	}
	return append(parts, s)
}
