package control_test

import (
	"slices"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/control"
)

func TestBrokerAPIAnswersAsMosquitto(t *testing.T) {
	t.Parallel()
	var asked []string
	api := control.BrokerAPI{
		Listeners: func() []config.Listener {
			return []config.Listener{
				{Port: 1883},
				{Port: 8080, Address: "127.0.0.1", Protocol: config.WebSockets, TLS: config.TLS{CertFile: "c", KeyFile: "k"}},
				{Path: "/run/mqtt"},
				{Port: 9883, Protocol: config.HTTPAPI},
			}
		},
		Plugins: func() []control.Plugin {
			return []control.Plugin{{Name: "dynamic-security", Endpoints: []string{"$CONTROL/dynamic-security/v1"}}, {Name: "acl-file", Version: "2.1.0", Port: 1883}}
		},
		Asked: func(c *broker.Client, command string) { asked = append(asked, c.ID+" "+command) },
	}
	handle := api.Handler()
	const (
		listeners = `"data":{"listeners":[{"port":1883,"protocol":"mqtt","tls":false},{"port":8080,"protocol":"mqtt+websockets","bind-address":"127.0.0.1","tls":true},` +
			`{"port":0,"protocol":"mqtt","socket-path":"/run/mqtt","tls":false},{"port":9883,"tls":false}]}`
		plugins = `"data":{"plugins":[{"name":"dynamic-security","control-endpoints":["$CONTROL/dynamic-security/v1"]},{"name":"acl-file","version":"2.1.0","port":1883,"control-endpoints":[]}]}`
		unknown = `{"responses":[{"command":"Unknown command","error":"`
	)
	for request, want := range map[string]string{
		`{"commands":[{"command":"listListeners","correlationData":"x"}]}`:            `{"responses":[{"command":"listListeners",` + listeners + `,"correlationData":"x"}]}`,
		`{"commands":[{"command":"LISTlisteners"},{"command":"listPlugins"}]} behind`: `{"responses":[{"command":"listListeners",` + listeners + `},{"command":"listPlugins",` + plugins + `}]}`,
		`{"Commands":[{"Command":"listPlugins"}]}`:                                    `{"responses":[{"command":"listPlugins",` + plugins + `}]}`,
		`{"commands":[]}`:                  `{"responses":[]}`,
		`not valid json`:                   unknown + `Payload not valid JSON"}]}`,
		``:                                 unknown + `Payload not valid JSON"}]}`,
		`{}`:                               unknown + `Invalid/missing commands"}]}`,
		`[]`:                               unknown + `Invalid/missing commands"}]}`,
		`null`:                             unknown + `Invalid/missing commands"}]}`,
		`{"commands":{}}`:                  unknown + `Invalid/missing commands"}]}`,
		`{"commands":["command"]}`:         unknown + `Command not an object"}]}`,
		`{"commands":[null]}`:              unknown + `Command not an object"}]}`,
		`{"commands":[{}]}`:                unknown + `Missing command"}]}`,
		`{"commands":[{"command":1}]}`:     unknown + `Missing command"}]}`,
		`{"commands":[{"command":"fly"}]}`: `{"responses":[{"command":"fly","error":"Unknown command"}]}`,
		`{"commands":[{"command":"fly","correlationData":"x"},{"command":"listPlugins"}]}`:       `{"responses":[{"command":"fly","error":"Unknown command","correlationData":"x"},{"command":"listPlugins",` + plugins + `}]}`,
		`{"commands":[{"command":"listPlugins","correlationData":true}]}`:                        `{"responses":[{"command":"listPlugins","error":"Invalid correlationData data type."}]}`,
		`{"commands":[{"command":"listPlugins"},{"command":"x","correlationData":1},{"a":"b"}]}`: `{"responses":[{"command":"listPlugins",` + plugins + `},{"command":"x","error":"Invalid correlationData data type."}]}`,
	} {
		if got := string(handle(&broker.Client{ID: "c"}, []byte(request))); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", request, got, want)
		}
	}
	slices.Sort(asked)
	if got, want := slices.Compact(asked), []string{"c listListeners", "c listPlugins"}; !slices.Equal(got, want) {
		t.Errorf("asked %q", got)
	}
	none := control.BrokerAPI{Listeners: func() []config.Listener { return nil }}.Handler()
	for name, want := range map[string]string{"listPlugins": `{"plugins":[]}`, "listListeners": `{"listeners":[]}`} {
		if got, want := string(none(&broker.Client{}, []byte(`{"commands":[{"command":"`+name+`"}]}`))), `{"responses":[{"command":"`+name+`","data":`+want+`}]}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzCommands(f *testing.F) {
	for _, seed := range []string{`{"commands":[{"command":"listPlugins","correlationData":"x"}]}`, `{"commands":[null]}`, `{"commands":[[]]}`} {
		f.Add([]byte(seed))
	}
	handle := control.BrokerAPI{Listeners: func() []config.Listener { return nil }}.Handler()
	f.Fuzz(func(t *testing.T, payload []byte) {
		if got := handle(&broker.Client{}, payload); len(got) == 0 || got[0] != '{' {
			t.Errorf("%q: %q", payload, got)
		}
	})
}
