package cli

import (
	"net"
	"os"
)

// notify tells the service manager that started this process, as of sd_notify(3), what
// state it is in: Debian's unit of Mosquitto waits for READY=1. Without a manager it
// does nothing.
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}
