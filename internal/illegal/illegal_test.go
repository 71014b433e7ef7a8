package illegal_test

import (
	"os"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/illegal"
	"github.com/uniomq/unio/mqtt"
)

func TestCatalogueIsLargeAndItsNamesUnique(t *testing.T) {
	for v, least := range map[mqtt.Version]int{mqtt.V31: 400, mqtt.V311: 400, mqtt.V5: 400} {
		cases := illegal.Cases(v)
		wrong, seen := 0, map[string]bool{}
		for _, c := range cases {
			if seen[c.Name] {
				t.Errorf("%v: there are two %q", v, c.Name)
			}
			seen[c.Name] = true
			if strings.HasSuffix(c.Want, "close") && !c.Farewell {
				wrong++
			}
			if c.Version != v {
				t.Errorf("%v: %q is of version %v", v, c.Name, c.Version)
			}
		}
		t.Logf("%v: %d cases, %d of them end the connection", v, len(cases), wrong)
		if wrong < least {
			t.Errorf("%v: only %d cases are illegal", v, wrong)
		}
	}
}

func TestStatementsAreListed(t *testing.T) {
	for v, file := range map[mqtt.Version]string{mqtt.V31: "v3.1.1", mqtt.V311: "v3.1.1", mqtt.V5: "v5.0"} {
		text, err := os.ReadFile("../../docs/spec/" + file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		listed, cited := "\n"+string(text), map[string]bool{}
		for _, c := range illegal.Cases(v) {
			for _, id := range c.Spec {
				cited[id] = true
				if !strings.Contains(listed, "\n"+strings.TrimPrefix(id, "MQTT-")+" ") {
					t.Errorf("%v: %q cites %s", v, c.Name, id)
				}
			}
		}
		t.Logf("%v: the cases check %d statements", v, len(cited))
	}
}
