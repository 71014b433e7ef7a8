//go:build unix

package doors

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

const pskKey = "0123456789abcdef0123456789abcdef"

func TestPreSharedKeys(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	dir := t.TempDir()
	keys := writeFile(t, filepath.Join(dir, "keys"), []byte("# devices\ndevice:"+pskKey+"\nother:00ff\n"))
	acl := writeFile(t, filepath.Join(dir, "acl"), []byte("user device\ntopic readwrite of/device/#\nuser other\ntopic readwrite of/other/#\n"))
	port, plain := testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, "per_listener_settings true",
		listen(port), "psk_hint factory", "psk_file "+keys, "use_identity_as_username true", "acl_file "+acl,
		"ciphers HIGH:!aNULL:kRSAPSK:DHE-PSK-AES256-CCM:@STRENGTH",
		listen(plain), "psk_hint factory", "psk_file "+keys, "allow_anonymous true")
	b.await(`Warning: .*unio.conf:\d+: ciphers: not available for pre-shared keys, and left out: DHE-PSK-AES256-CCM$`)
	device := mosquitto(t, port, "--psk", pskKey, "--psk-identity", "device", "-V", "mqttv5")
	other := mosquitto(t, port, "--psk", "00ff", "--psk-identity", "other", "-V", "mqttv5")
	sub := device.subscribe("of/#")
	for topic, allowed := range map[string]bool{"of/device/t": true, "of/other/t": false} {
		if o := device.publish(topic, "hello"); strings.Contains(o.output, "Not authorized") == allowed {
			t.Errorf("publish to %s: %q", topic, o.output)
		}
	}
	if o := other.publish("of/other/t", "hello"); o.status != 0 || strings.Contains(o.output, "Not authorized") {
		t.Errorf("other: %+v", o)
	}
	if got := sub.await("MSG"); got != "MSG of/device/t hello" {
		t.Error(got)
	}
	b.await(`New client connected from .*u'device'\)`)
	mosquitto(t, plain, "--psk", pskKey, "--psk-identity", "device").roundTrip()
	for name, c := range map[string]struct {
		args   []string
		reason string
	}{
		"wrong key":        {[]string{"--psk", "beef", "--psk-identity", "device"}, `"device"`},
		"unknown identity": {[]string{"--psk", pskKey, "--psk-identity", "nobody"}, `"nobody"`},
		"plain":            {nil, "TLS"},
	} {
		mark := b.Mark()
		if o := mosquitto(t, port, c.args...).publish("t", "m"); o.status == 0 {
			t.Errorf("%s: published", name)
		}
		line := b.awaitFrom(mark, "^Client <unknown> disconnected: ")
		if !strings.Contains(line, c.reason) {
			t.Errorf("%s: %s", name, line)
		}
	}
	// New keys take effect with a reload.
	writeFile(t, keys, []byte("device:beef\n"))
	b.reload()
	if o := mosquitto(t, plain, "--psk", "beef", "--psk-identity", "device").publish("t", "m"); o.status != 0 {
		t.Errorf("the new key is refused: %s", o.output)
	}
}
