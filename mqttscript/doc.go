// Package mqttscript runs conformance tests that people can read: scripts in a
// small language that say what MQTT clients send and what they must receive.
//
//	versions 3.1.1 5
//	sub > CONNECT id=sub
//	sub < CONNACK session=0 ...
//	sub > SUBSCRIBE pid=1 a/+ q1
//	sub < SUBACK pid=1 rc=1
//	sub > PUBLISH q0 topic=a/b payload="hi"
//	sub < PUBLISH q0 topic=a/b payload="hi"
//	sub quiet
//
// The language is described in docs/mqttscript.md. [Parse] and [Load] read
// scripts, a [Runner] runs one as clients of one protocol version against a
// [Target]: any broker that it can dial. A [Result] prints as one line, or with
// [Result.Transcript] as the script with the packets that really came inline.
//
// The package knows packets and bytes through package mqtt, and nothing of any
// broker. It keeps no state between runs. A run has one goroutine for each
// connection, which reads; Run waits for all of them before it returns. It uses
// the clock only through package time, so that in a [testing/synctest] bubble,
// with a Target whose connections are in memory, a wait of hours is instant.
package mqttscript
