package unio

import (
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/logs"
)

// Log is a log in Mosquitto's form, to the destinations that a configuration names. Nobody waits for
// a destination: lines that find no room are lost, and counted.
type Log = logs.Log

// Destinations are where a log may go: files and the like that are open, and not yet or not any more
// in use. Log.Open opens them, and Log.Use goes on with them.
type Destinations = logs.Destinations

// OpenLog opens the log that a configuration asks for. Log.Close ends it.
func OpenLog(cfg config.Log) (*Log, error) { return logs.Open(cfg) }
