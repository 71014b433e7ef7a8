//go:build windows || plan9 || js || wasip1

package logs

import (
	"errors"

	"github.com/uniomq/unio/internal/mosqlog"
)

// openSyslog fails: this system has no syslog.
func openSyslog(int) (mosqlog.Sink, error) { return nil, errors.New("this system has none") }
