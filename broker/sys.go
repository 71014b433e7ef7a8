package broker

import "bytes"

var (
	sysPrefix        = []byte("$SYS/")
	bridgeConnection = []byte("$SYS/broker/connection/")
)

// isSys reports whether a topic is in the tree in which the broker speaks of itself.
func isSys(topic []byte) bool { return bytes.HasPrefix(topic, sysPrefix) }

// Reserved reports whether only the broker may publish on a topic: those of $SYS, but for the state
// that bridges of other brokers keep there, as in Mosquitto.
func Reserved(topic []byte) bool { return isSys(topic) && !bytes.HasPrefix(topic, bridgeConnection) }
