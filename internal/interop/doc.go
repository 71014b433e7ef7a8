// Package interop holds tests that drive clients which nobody of this project wrote against a broker: Debian's
// mosquitto_pub and mosquitto_sub, MQTT.js, and Eclipse Paho for Go in both generations. There is no code in it.
//
// The tests build cmd/unio, start it on a free loopback port, wait for its log line, and stop it at the end with
// SIGTERM, which must give status 0. Run with -race, the broker is built with -race too.
//
//	UNIO_INTEROP_BROKER=host:port    use a broker that runs already, of whatever make
//	UNIO_REQUIRE_INTEROP=1           a missing tool is a failure, not a skipped test
//
// They need Debian's mosquitto-clients, and Node.js with npm; without them the tests concerned are skipped and say what
// to install.
package interop
