//go:build !linux

package listening

import "net"

// takesIPv4 is asked where there is systemd alone.
func takesIPv4(net.Listener) bool { return false }
