package interop

import (
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

// installJS puts MQTT.js, as package-lock.json pins it, beside its scripts, once; npm leaves alone what is there.
var installJS = sync.OnceValues(func() (string, error) {
	if exec.Command("npm", "ls", "--prefix", "js", "mqtt").Run() == nil {
		return "", nil
	}
	out, err := exec.Command("npm", "ci", "--prefix", "js", "--ignore-scripts", "--no-audit", "--no-fund").CombinedOutput()
	return string(out), err
})

func needMQTTJS(t *testing.T) {
	t.Helper()
	testenv.Program(t, "node", "nodejs")
	testenv.Program(t, "npm", "npm")
	if out, err := installJS(); err != nil {
		testenv.Missing(t, "MQTT.js cannot be installed (npm ci in internal/interop/js): %v\n%s", err, out)
	}
}

func TestMQTTJS(t *testing.T) {
	t.Parallel()
	needMQTTJS(t)
	scenarios := map[string]string{ // to the protocol versions that have it
		"qos":        "345",
		"flood":      "345",
		"retained":   "345",
		"will":       "345",
		"session":    "345",
		"shared":     "45",
		"properties": "5",
	}
	for scenario, versions := range scenarios {
		for version := range strings.SplitSeq(versions, "") {
			t.Run(scenario+"/v"+version, func(t *testing.T) {
				t.Parallel()
				p := start(t, "node", "js/scenarios.mjs", scenario, "mqtt://"+brokerAddr, version, unique(scenario))
				p.await("ok")
				p.wait()
			})
		}
	}
}
