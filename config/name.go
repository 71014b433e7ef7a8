package config

import (
	"net"
	"strconv"
)

// Place returns a listener's address as the configuration gives it: "ADDRESS:PORT", or the path of a
// Unix socket.
func (l *Listener) Place() string {
	if l.Port == 0 {
		return l.Path
	}
	return net.JoinHostPort(l.Address, strconv.Itoa(int(l.Port)))
}

// Name is Place made unique: two listeners may share that on different interfaces.
func (l *Listener) Name() string {
	if l.BindInterface == "" {
		return l.Place()
	}
	return l.Place() + "%" + l.BindInterface
}
