package control

import (
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
)

// BrokerTopic is the endpoint that tells of the broker itself (enable_control_api).
const BrokerTopic = Prefix + "broker/v1"

// A Plugin is what stands where Mosquitto has a plugin.
type Plugin struct {
	Name      string   `json:"name"` // as Mosquitto's
	Version   string   `json:"version,omitempty"`
	Port      uint16   `json:"port,omitempty"` // of the only listener that has it
	Endpoints []string `json:"control-endpoints"`
}

// BrokerAPI is what the endpoint tells.
type BrokerAPI struct {
	Listeners func() []config.Listener
	Plugins   func() []Plugin              // nil: there are none
	Asked     func(*broker.Client, string) // is told of each command; nil: nobody is
}

// The commands of the endpoint.
const (
	listListeners = "listListeners"
	listPlugins   = "listPlugins"
)

// Handler returns the endpoint's handler.
func (a BrokerAPI) Handler() Handler { return Commands(a.run) }

func (a BrokerAPI) run(c *broker.Client, name string) (command string, data any, known bool) {
	switch {
	case strings.EqualFold(name, listListeners):
		command, data = listListeners, map[string]any{"listeners": a.listeners()}
	case strings.EqualFold(name, listPlugins):
		command, data = listPlugins, map[string]any{"plugins": a.plugins()}
	default:
		return "", nil, false
	}
	if a.Asked != nil {
		a.Asked(c, command)
	}
	return command, data, true
}

// listener is what Mosquitto tells of a listener.
type listener struct {
	Port     uint16 `json:"port"` // 0 for a Unix socket
	Protocol string `json:"protocol,omitempty"`
	Address  string `json:"bind-address,omitempty"`
	Path     string `json:"socket-path,omitempty"`
	TLS      bool   `json:"tls"`
}

// protocols are Mosquitto's names. It has none for the HTTP API.
var protocols = map[config.Protocol]string{config.MQTT: "mqtt", config.WebSockets: "mqtt+websockets"}

func (a BrokerAPI) listeners() []listener {
	all := []listener{}
	for _, l := range a.Listeners() {
		all = append(all, listener{Port: l.Port, Protocol: protocols[l.Protocol], Address: l.Address, Path: l.Path, TLS: l.TLS.On()})
	}
	return all
}

func (a BrokerAPI) plugins() []Plugin {
	all := []Plugin{}
	if a.Plugins == nil {
		return all
	}
	for _, p := range a.Plugins() {
		if p.Endpoints == nil {
			p.Endpoints = []string{}
		}
		all = append(all, p)
	}
	return all
}
