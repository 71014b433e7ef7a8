//go:build unix

package doors

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

// What does not get in is told, counted by its cause, and lets others in again when it has gone.
func TestLimitsAtTheDoor(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	port, small, web := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, "max_unauthenticated_connections 2", "sys_interval 1", "allow_anonymous true", listen(port),
		listen(small), "max_connections 1", listen(web), "protocol websockets", "max_http_connections 2")
	sub := mosquitto(t, port).subscribe("$SYS/broker/connections/refused/+")

	// One too many over all listeners for MQTT, whichever is accepted last, and one that speaks HTTP.
	var silent []net.Conn
	for _, at := range []int{web, port, web, small, web, port} {
		silent = append(silent, dial(t, at))
	}
	sub.await("MSG $SYS/broker/connections/refused/unaccepted 2")
	b.await(`^Client <unknown> disconnected: too many connections that have not sent CONNECT \(127.0.0.1\)\.$`)
	b.await(`^Client <unknown> disconnected: max_http_connections exceeded: `)
	for _, c := range silent {
		_ = c.Close()
	}
	var first net.Conn
	for connack := make([]byte, 4); ; { // until the broker has seen that those have gone
		first = dial(t, small)
		connectAs(t, first, "f")
		if _, err := io.ReadFull(first, connack); err == nil {
			break
		}
	}
	if o := mosquitto(t, small).publish("t", "m"); o.status == 0 {
		t.Error("a second client was let in where max_connections is 1")
	}
	b.await("Client connection from 127.0.0.1 denied: max_connections exceeded")
	_ = first.Close()
	b.await("^Client f closed its connection")
	mosquitto(t, small).publish("t", "m")
	sub.await("MSG $SYS/broker/connections/refused/busy 1")
}

func TestConnectionsBeyondTheRateAreRefused(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	b := startBroker(t, "max_connection_rate 5", "allow_anonymous true", listen(port))
	for range 20 { // within two seconds at most ten are let in
		c := dial(t, port)
		_, _ = io.WriteString(c, mqttConnect)
	}
	b.await(`^Client <unknown> disconnected: too many connections from its address within a second \(127.0.0.1\)\.$`)
}

// An authority of a folder vouches, whatever the name of its file.
func TestAuthoritiesOfAFolder(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	p := newPKI(t)
	folder, port := t.TempDir(), testenv.FreePort(t)
	writeFile(t, folder+"/some name.pem", p.ca.text())
	b := startBroker(t, listen(port), "allow_anonymous true", "certfile "+p.server.file, "keyfile "+p.server.pem, "capath "+folder, "require_certificate true")
	mosquitto(t, port, p.trust()...).with(p.client.flags()...).roundTrip()
	foreign := issue(t, p.dir, "foreign", p.stranger)
	tools := mosquitto(t, port, p.trust()...).with(foreign.flags()...)
	if o := tools.publish("t", "m"); o.status == 0 {
		t.Error("a certificate of another authority was accepted")
	}
	mark := b.Mark()
	writeFile(t, folder+"/0a1b2c3d.0", p.stranger.text()) // as openssl rehash would name it
	b.awaitFrom(mark, "new files of TLS are in force")
	tools.roundTrip()
}

// A reload changes who clients are and what is asked of them, for those that connect from then on.
func TestReloadedListenerAsksMoreOfNewClients(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	p := newPKI(t)
	port := testenv.FreePort(t)
	b := startBroker(t, p.listen(port)...)
	tools := mosquitto(t, port, p.trust()...)
	old := tools.subscribe("reload")
	mark := b.Mark()
	b.configure(p.listen(port, "require_certificate true", "use_identity_as_username true")...)
	b.reload()
	if o := tools.publish("reload", "nobody"); o.status == 0 {
		t.Error("a client without certificate was let in")
	}
	if o := tools.with(p.client.flags()...).publish("reload", "somebody"); o.status != 0 {
		t.Error(o.output)
	}
	b.awaitFrom(mark, fmt.Sprintf(`u'%s'`, p.client.x509.Subject.CommonName))
	if got := old.await("MSG"); got != "MSG reload somebody" {
		t.Errorf("%q", got)
	}
}
