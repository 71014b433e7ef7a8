//go:build !unix

package cli

import "os"

// laterSignals are those that Mosquitto acts on and Unio does not yet; there are none
// on this system.
var laterSignals []os.Signal
