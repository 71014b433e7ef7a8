package broker

import "bytes"

var (
	sysPrefix        = []byte("$SYS/")
	bridgeConnection = []byte("$SYS/broker/connection/")
	controlPrefix    = []byte("$CONTROL/")
)

// isSys reports whether a topic is in the tree in which the broker speaks of itself.
func isSys(topic []byte) bool { return bytes.HasPrefix(topic, sysPrefix) }

// Reserved reports whether only the broker may publish on a topic: those of $SYS, but for the state
// that bridges of other brokers keep there, as in Mosquitto.
func Reserved(topic []byte) bool { return isSys(topic) && !bytes.HasPrefix(topic, bridgeConnection) }

// isControl reports whether messages to a topic are requests to the broker. A will cannot be one, as in Mosquitto: it is published when nobody is left
// to get the answer, and it would look like an answer to whoever reads there.
func isControl(topic []byte) bool { return bytes.HasPrefix(topic, controlPrefix) }
