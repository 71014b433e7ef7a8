//go:build !windows && !plan9 && !js && !wasip1

package logs

import (
	"bytes"
	"log/slog"
	"log/syslog"
	"os"
	"path/filepath"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
)

// syslogSink writes lines to the system's log, with the severities that Mosquitto gives
// them.
type syslogSink struct{ *syslog.Writer }

// openSyslog connects to the log of this machine. The lines bear the name that the
// program was started by.
func openSyslog(facility int) (mosqlog.Sink, error) { return dialSyslog("", "", facility) }

// dialSyslog is openSyslog for the log at an address.
func dialSyslog(network, address string, facility int) (mosqlog.Sink, error) {
	priority := syslog.LOG_DAEMON
	if facility != config.NoFacility {
		priority = syslog.LOG_LOCAL0 + syslog.Priority(facility)<<3
	}
	w, err := syslog.Dial(network, address, priority|syslog.LOG_INFO, filepath.Base(os.Args[0]))
	if err != nil {
		return nil, err
	}
	return syslogSink{w}, nil
}

// WriteLine sends one line.
func (s syslogSink) WriteLine(level slog.Level, line []byte) error {
	text := string(bytes.TrimSuffix(line, []byte("\n")))
	switch {
	case level >= mosqlog.LevelError:
		return s.Err(text)
	case level >= mosqlog.LevelWarning:
		return s.Warning(text)
	case level == mosqlog.LevelInformation:
		return s.Info(text)
	case level == mosqlog.LevelDebug:
		return s.Debug(text)
	}
	return s.Notice(text) // notice, subscribe and unsubscribe
}
