package broker

import (
	"bytes"
	"strings"

	"github.com/uniomq/unio/topic"
)

// A mount point is a prefix that the topics of a listener's clients have inside the broker, and that
// these clients never see. Filters get it behind $share and the group.

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
