package store

import "strings"

// Key names a session in one string: its client id, and behind it the mount point of its client's
// listener, if that has one. A session without mount point has its client id as its key, and no
// client id holds U+0000 [MQTT-1.5.4-2], so that no two have the same.
func Key(clientID, mountPoint string) string {
	if mountPoint == "" {
		return clientID
	}
	return clientID + keySeparator + mountPoint
}

// SplitKey takes a key apart.
func SplitKey(key string) (clientID, mountPoint string) {
	clientID, mountPoint, _ = strings.Cut(key, keySeparator)
	return clientID, mountPoint
}

const keySeparator = "\x00"
