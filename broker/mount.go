package broker

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/topic"
)

// A mount point is a prefix that the topics of a listener's clients have inside the broker, and
// that these clients never see. Filters get it behind $share and the group. The same client id
// under another mount point is another client, with another session.

// sessionKey names the session of c.
func (c *conn) sessionKey() string { return store.Key(c.client.ID, c.lo.MountPoint) }

// clientID is that of the session's client.
func (s *subscriber) clientID() string {
	id, _ := store.SplitKey(s.key)
	return id
}

// mounts are the mount points that listeners have or have had, by the listener's name. A change
// replaces the slice.
type mounts struct{ all atomic.Pointer[[]mounted] }

type mounted struct{ listener, point string }

// note adds what a listener has now. Broker.mu is held.
func (m *mounts) note(ln *listener) {
	o := ln.options.Load()
	now := mounted{o.Name, o.MountPoint}
	if all := m.load(); now.point != "" && !slices.Contains(all, now) {
		all = append(slices.Clip(all), now)
		m.all.Store(&all)
	}
}

func (m *mounts) load() []mounted {
	if all := m.all.Load(); all != nil {
		return *all
	}
	return nil
}

// connsOf returns the connections with a client id, one for each mount point at most.
func (b *Broker) connsOf(clientID string) []*conn {
	var conns []*conn
	add := func(point string) {
		if c := b.connOf(store.Key(clientID, point)); c != nil && !slices.Contains(conns, c) {
			conns = append(conns, c)
		}
	}
	add("")
	for _, m := range b.mounts.load() {
		add(m.point)
	}
	return conns
}

// sessionOf returns the key of the session that a message came from, as far as it is known of its
// listener's name and its topic.
func (b *Broker) sessionOf(m *store.Message) string {
	for _, mount := range b.mounts.load() {
		if mount.listener == m.Listener && strings.HasPrefix(m.Topic, mount.point) {
			return store.Key(m.ClientID, mount.point)
		}
	}
	return m.ClientID
}

// tooLong reports whether a topic name or filter of the client is longer inside the broker than a
// packet can carry. It is well-formed: clients of 5.0 are told that it is refused, older ones,
// which cannot be told, are disconnected.
func tooLong[S string | []byte](c *conn, s S) bool {
	return len(c.lo.MountPoint)+len(s) > topic.MaxBytes
}

// mount returns the topic name inside the broker.
func (c *conn) mount(bt *batch, name []byte) []byte {
	if c.lo.MountPoint == "" {
		return name
	}
	bt.mounted = append(append(bt.mounted[:0], c.lo.MountPoint...), name...)
	return bt.mounted
}

// unmount returns the topic name that the client sees.
func (c *conn) unmount(name []byte) []byte {
	return bytes.TrimPrefix(name, []byte(c.lo.MountPoint))
}

// mountFilter returns the filter inside the broker.
func (c *conn) mountFilter(filter string) string {
	if c.lo.MountPoint == "" {
		return filter
	}
	_, rest, shared := topic.SplitShare(filter)
	if !shared {
		return c.lo.MountPoint + filter
	}
	return strings.TrimSuffix(filter, rest) + c.lo.MountPoint + rest
}
