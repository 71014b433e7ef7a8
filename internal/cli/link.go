package cli

import (
	"path/filepath"
	"strings"
)

// Arguments returns the arguments for Main of a process's argv. By the name of one of
// Mosquitto's programs, usually a link, the binary behaves as that program: its name
// becomes the subcommand. As mosquitto it is the broker.
func Arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	name := strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
	switch name {
	case "mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "mosquitto_ctrl": // aliases, which their messages show
		return append([]string{name}, argv[1:]...)
	case "mosquitto_passwd":
		return append([]string{"passwd"}, argv[1:]...)
	}
	return argv[1:]
}
