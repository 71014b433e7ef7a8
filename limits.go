package unio

import (
	"math"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
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
