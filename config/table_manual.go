package config

import "strings"

// newOptions are those that the manual of Mosquitto 2.0 does not have yet, and our own.
var newOptions = map[string]string{
	"accept_protocol_versions": "2.1", "disable_client_cert_date_checks": "2.1", "enable_control_api": "2.1",
	"enable_proxy_protocol": "2.1", "global_max_clients": "2.1", "global_max_connections": "2.1",
	"global_plugin": "2.1", "listener_allow_anonymous": "2.1", "listener_auto_id_prefix": "2.1",
	"max_topic_alias_broker": "2.1", "mptcp": "2.1", "packet_buffer_size": "2.1", "plugin_load": "2.1",
	"plugin_use": "2.1", "proxy_protocol_v2_require_tls": "2.1", "retain_expiry_interval": "2.1",
	"websockets_origin": "2.1",
	"audit_log":         "Unio", "log_format": "Unio", "persistence_sync": "Unio",
	"explain_to_client": "Unio", "rules_file": "Unio",
	"acme_cache": "Unio", "acme_directory": "Unio", "acme_domain": "Unio", "acme_email": "Unio",
	"connect_timeout": "Unio", "max_connection_rate": "Unio", "max_unauthenticated_connections": "Unio", "max_subscriptions": "Unio", "max_shared_subscriptions": "Unio", "websockets_forwarded_for": "Unio",
	"max_http_connections": "Unio",
}

// laterWorks are the works that are to bring the options that are not available. A "*"
// at the end stands for any end.
var laterWorks = []struct {
	name    string
	options []string
}{
	{"keys in hardware, which no work is planned for", []string{"tls_*"}},
	{"bridges", []string{"connection"}},
	{"nothing: Mosquitto has no use for it either", []string{"dhparamfile"}},
}

// laterWork returns the work that is to bring an option, or "".
func laterWork(option string) string {
	for _, work := range laterWorks {
		for _, name := range work.options {
			prefix, cut := strings.CutSuffix(name, "*")
			if name == option || cut && strings.HasPrefix(option, prefix) {
				return work.name
			}
		}
	}
	return ""
}
