package admin

import (
	"encoding/json"
	"net/http"

	"github.com/uniomq/unio/config"
)

// Version is Mosquitto's endpoint that tells the broker's version, as plain text without a line's end.
func Version(version string) Endpoint {
	return public("GET /api/v1/version", func(w http.ResponseWriter) {
		answer(w, http.StatusOK, version)
	})
}

// Listeners is Mosquitto's endpoint that lists the broker's listeners, which list returns.
func Listeners(list func() []config.Listener) Endpoint {
	return public("GET /api/v1/listeners", func(w http.ResponseWriter) {
		all := []listener{}
		for _, l := range list() {
			all = append(all, listener{
				Path: l.Path, Port: l.Port, Protocol: protocols[l.Protocol],
				TLS: l.TLS.On(), MTLS: l.TLS.RequireCertificate, AllowAnonymous: l.AllowAnonymous,
			})
		}
		writeJSON(w, http.StatusOK, map[string]any{"listeners": all})
	})
}

// listener is what Mosquitto tells of a listener, in its order. It has either Path or Port.
type listener struct {
	Path           string `json:"path,omitempty"`
	Port           uint16 `json:"port,omitempty"`
	Protocol       string `json:"protocol"`
	TLS            bool   `json:"tls"`
	MTLS           bool   `json:"mtls"`
	AllowAnonymous bool   `json:"allow_anonymous"`
}

// protocols are Mosquitto's names, which are not those of its configuration file.
var protocols = map[config.Protocol]string{config.MQTT: "mqtt", config.WebSockets: "websockets", config.HTTPAPI: "httpapi"}

// SysTree is Mosquitto's endpoint that tells the broker's counters, by their topics, which read returns.
func SysTree(read func() map[string]int64) Endpoint {
	return public("GET /api/v1/systree", func(w http.ResponseWriter) {
		writeJSON(w, http.StatusOK, read())
	})
}

// public makes an endpoint that pages of other sites may read, as Mosquitto's may. A browser does not give them the user's password for it.
func public(pattern string, write func(http.ResponseWriter)) Endpoint {
	return Endpoint{Pattern: pattern, Public: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		write(w)
	})}
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	_ = out.Encode(v) // the client may be gone
}
