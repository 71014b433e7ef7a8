package broker

import "bytes"

var (
	sysTopic         = []byte("$SYS")
	shareTopic       = []byte("$share")
	controlTopic     = []byte("$CONTROL")
	bridgeConnection = []byte("$SYS/broker/connection/")
	bridgeState      = []byte("/state")
)

// isBelow reports whether a topic is root, or below it.
func isBelow(root, topic []byte) bool {
	rest, ok := bytes.CutPrefix(topic, root)
	return ok && (len(rest) == 0 || rest[0] == '/')
}

// isSys reports whether a topic is in the tree in which the broker speaks of itself.
func isSys(topic []byte) bool { return isBelow(sysTopic, topic) }

// isBridgeState reports whether a topic is one on which a bridge of another broker tells its state,
// $SYS/broker/connection/ID/state.
func isBridgeState(topic []byte) bool {
	id, ok := bytes.CutPrefix(topic, bridgeConnection)
	if !ok {
		return false
	}
	id, ok = bytes.CutSuffix(id, bridgeState)
	return ok && len(id) > 0 && bytes.IndexByte(id, '/') < 0
}

// Reserved reports whether no client may publish on a topic: on $SYS and all below it only the
// broker does, but for the state that bridges of other brokers keep there, as in Mosquitto, and
// $share and all below it are not topics, but how subscriptions are shared: nobody could subscribe
// to them. See [WithoutRules].
func Reserved(topic []byte) bool {
	return isSys(topic) && !isBridgeState(topic) || isBelow(shareTopic, topic)
}

// IsControl reports whether messages to a topic are requests to the broker: $CONTROL and all below
// it. What no [Interceptor] takes of them is refused. A will cannot be one, as in Mosquitto: it is
// published when nobody is left to get the answer, and it would look like an answer to whoever
// reads there.
func IsControl(topic []byte) bool { return isBelow(controlTopic, topic) }

// WithoutRules reports whether a client may do that where no access rule decides. That is all but
// telling the state of a bridge, which who is neither a bridge nor has logged in may not. What was
// accepted before stays accepted. It is what a Broker without an Authorizer asks.
func WithoutRules(a Access) bool {
	if a.Action != ActionPublish && a.Action != ActionWill || !isBridgeState(a.Topic) {
		return true
	}
	return a.Client.Bridge || a.Client.LoggedIn || a.Client.Partial || a.Source
}
