package unio

import (
	"math"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/mqtt"
)

// limits returns the limits of the engine that a configuration asks for. Where 0
// stands for "no limit" in a configuration, it stands for the default in the engine.
func limits(cfg *config.Config) broker.Limits {
	limits := broker.Limits{
		MaxPacketSize:          cfg.MaxPacketSize,
		MaxMessageSize:         cfg.MessageSizeLimit,
		MaxInflight:            cfg.MaxInflightMessages,
		MaxInflightBytes:       cfg.MaxInflightBytes,
		MaxQueuedMessages:      cfg.MaxQueuedMessages,
		MaxQueuedBytes:         cfg.MaxQueuedBytes,
		MaxSubscriptions:       cfg.MaxSubscriptions,
		MaxSharedSubscriptions: cfg.MaxSharedSubscriptions,
		MaxKeepAlive:           cfg.MaxKeepAlive,
		MaxSessionExpiry:       cfg.PersistentClientExpiration,
		MaxConnections:         max(cfg.MaxConnections, 0),
		MaxUnaccepted:          cfg.MaxUnauthenticated,
		MaxConnectionRate:      cfg.MaxConnectionRate,
		ConnectTimeout:         cfg.ConnectTimeout,
		MaxSessions:            max(cfg.MaxClients, 0),
		CheckRetainSource:      cfg.CheckRetainSource,
		RetainedSweep:          cfg.RetainExpiryInterval,
		RefuseRetained:         !cfg.RetainAvailable,
		UpgradeOutgoingQoS:     cfg.UpgradeOutgoingQoS,
		AllowDuplicates:        cfg.AllowDuplicateMessages,
		QueueQoS0:              cfg.QueueQoS0Messages,
	}
	if limits.MaxInflight == 0 {
		limits.MaxInflight = math.MaxUint16
	}
	for _, n := range []*int{&limits.MaxQueuedMessages, &limits.MaxSubscriptions, &limits.MaxSharedSubscriptions} {
		if *n == 0 {
			*n = -1
		}
	}
	return limits
}

// listenerOptions returns what the engine is to ask of one listener's clients.
// Anonymous clients are a matter of the authenticator.
func listenerOptions(cfg *config.Config, l config.Listener) broker.ListenerOptions {
	o := broker.ListenerOptions{
		Name:                name(l),
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
