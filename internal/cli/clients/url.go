package clients

import (
	"strconv"
	"strings"
)

// setURL handles -L. Nothing is decoded, as in Mosquitto: a topic may hold a per cent
// sign, and a password anything but a slash.
func (c *clientConfig) setURL(url string) error {
	rest, plain := strings.CutPrefix(url, "mqtt://")
	if !plain {
		var secure bool
		if rest, secure = strings.CutPrefix(url, "mqtts://"); !secure {
			return badArgument("unsupported URL scheme.")
		}
		c.tls.osCerts = true
	}
	authority, name, found := strings.Cut(rest, "/")
	if !found {
		return badUsage("Invalid URL for -L argument specified - topic missing.")
	}
	if err := c.addTopic(name, "-L topic"); err != nil {
		return err
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, has := strings.Cut(authority[:i], ":")
		c.username = &user
		if has {
			c.password = &password
		}
		authority = authority[i+1:]
	}
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		host, port = authority[:i], authority[i+1:]
	}
	c.host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return badUsage("Invalid port given: %d", leadingInt(port))
	}
	c.port = int(n)
	return nil
}
