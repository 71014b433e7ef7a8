package config

// Log says what is logged, how and where.
type Log struct {
	// Types are the kinds of message that are logged.
	Types LogType
	// Stdout and Stderr log to the process's standard output and standard error.
	Stdout, Stderr bool
	// File is a file to append to; empty for none.
	File string
	// Syslog logs to the system's log, with Facility: 0 to 7 for local0 to local7, or
	// NoFacility for daemon.
	Syslog   bool
	Facility int
	// Topic publishes each line below $SYS/broker/log.
	Topic bool
	// JSON writes objects instead of lines of text.
	JSON bool
	// Timestamp starts each line with the time.
	Timestamp bool
	// TimestampFormat is the time's format as of strftime(3); empty for the seconds
	// since 1970.
	TimestampFormat string
}

// NoFacility is the Facility of a log whose file names none.
const NoFacility = -1

// LogType is a set of kinds of log message.
type LogType uint16

// The kinds of log message, as log_type names them.
const (
	LogError LogType = 1 << iota
	LogWarning
	LogNotice
	LogInformation
	LogDebug
	LogSubscribe
	LogUnsubscribe
	LogInternal
	LogWebsockets

	LogNone LogType = 0
	LogAll          = LogWebsockets<<1 - 1
)

// logTypes maps the words of log_type to their kinds.
var logTypes = map[string]LogType{
	"all": LogAll, "debug": LogDebug, "error": LogError, "information": LogInformation,
	"internal": LogInternal, "none": LogNone, "notice": LogNotice, "subscribe": LogSubscribe,
	"unsubscribe": LogUnsubscribe, "warning": LogWarning, "websockets": LogWebsockets,
}

// setLogType handles one log_type line; the first one of a file replaces the default.
func setLogType(t *target, v value) error {
	kind := logTypes[v.text]
	switch {
	case kind == LogNone:
		t.cfg.Log.Types = LogNone
	case t.first:
		t.cfg.Log.Types = kind
	default:
		t.cfg.Log.Types |= kind
	}
	return nil
}

// setLogDest handles one log_dest line; the first one of a file replaces the default.
func setLogDest(t *target, v value) error {
	log := &t.cfg.Log
	dest, rest := cutWord(v.text)
	if t.first || dest == "none" {
		log.Stdout, log.Stderr, log.File, log.Syslog, log.Topic = false, false, "", false, false
	}
	switch dest {
	case "none":
	case "stdout": // "stdout unbuffered" asks for what Unio always does
		log.Stdout = true
	case "stderr":
		log.Stderr = true
	case "file":
		if rest == "" {
			return expected("file and a path")
		}
		if log.File != "" {
			return problem("only one file can be logged to")
		}
		log.File = rest
	case "syslog":
		log.Syslog = true
	case "topic":
		log.Topic = true
	case "dlt", "android":
		log.Stderr = true
		t.warn("%s is not available yet; logging to stderr", dest)
	default:
		return expected("stdout, stderr, syslog, topic, none or file PATH, not %q", dest)
	}
	return nil
}
