package listening

import (
	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/mqtt"
)

// listenerOptions returns what the engine is to ask of one listener's clients.
// Anonymous clients are a matter of the authenticator.
func listenerOptions(cfg *config.Config, l config.Listener) broker.ListenerOptions {
	o := broker.ListenerOptions{
		Name:                l.Name(),
		RefuseEmptyClientID: !l.AllowZeroLengthClientID,
		MaxConnections:      max(l.MaxConnections, 0),
		MaxTopicAlias:       aliases(l.MaxTopicAlias),
		MaxTopicAliasBroker: aliases(l.MaxTopicAliasBroker),
		AutoIDPrefix:        l.AutoIDPrefix,
		UsernameAsClientID:  l.UsernameAsClientID,
		MountPoint:          l.MountPoint,
	}
	for _, level := range l.Versions {
		o.Versions = append(o.Versions, mqtt.Version(level))
	}
	if cfg.ClientIDPrefix != "" {
		o.ClientIDPrefixes = []string{cfg.ClientIDPrefix}
	}
	if l.MaxQoS < 2 {
		o.RefuseQoS = l.MaxQoS + 1
	}
	return o
}

// aliases returns a number of topic aliases as the engine wants it: its 0 is the
// default, and its highest number is none.
func aliases(n uint16) uint16 {
	switch n {
	case 0:
		return broker.NoAliases
	case broker.NoAliases:
		return broker.NoAliases - 1
	}
	return n
}
