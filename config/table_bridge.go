package config

// bridgeOptions are the options of one bridge. Only the line that begins a bridge is
// refused: what follows it goes without saying.
var bridgeOptions = []Option{
	bridgeOption("address", Text).alias("addresses"),
	bridgeOption("bridge_alpn", Text),
	bridgeOption("bridge_attempt_unsubscribe", Bool),
	bridgeOption("bridge_bind_address", Text),
	bridgeOption("bridge_cafile", Text),
	bridgeOption("bridge_capath", Text),
	bridgeOption("bridge_certfile", Text),
	bridgeOption("bridge_ciphers", Text),
	bridgeOption("bridge_ciphers_tls1.3", Text),
	bridgeOption("bridge_identity", Text),
	bridgeOption("bridge_insecure", Bool),
	bridgeOption("bridge_keyfile", Text),
	bridgeOption("bridge_max_packet_size", Number),
	bridgeOption("bridge_max_topic_alias", Number),
	bridgeOption("bridge_mptcp", Bool),
	bridgeOption("bridge_outgoing_retain", Bool),
	bridgeOption("bridge_protocol_version", Text),
	bridgeOption("bridge_psk", Text),
	bridgeOption("bridge_receive_maximum", Number),
	bridgeOption("bridge_reload_type", Text),
	bridgeOption("bridge_require_ocsp", Bool),
	bridgeOption("bridge_session_expiry_interval", Number),
	bridgeOption("bridge_tcp_keepalive", Text),
	bridgeOption("bridge_tcp_user_timeout", Number),
	bridgeOption("bridge_tls_use_os_certs", Bool),
	bridgeOption("bridge_tls_version", Text),
	bridgeOption("cleansession", Bool),
	refused("connection", PerBridge, Text, "", "Bridges to other brokers."),
	bridgeOption("idle_timeout", Number),
	bridgeOption("keepalive_interval", Number),
	bridgeOption("local_cleansession", Bool),
	bridgeOption("local_clientid", Text),
	bridgeOption("local_password", Text),
	bridgeOption("local_username", Text),
	bridgeOption("notification_topic", Text),
	bridgeOption("notifications", Bool),
	bridgeOption("notifications_local_only", Bool),
	bridgeOption("remote_clientid", Text).alias("clientid"),
	bridgeOption("remote_password", Text).alias("password"),
	bridgeOption("remote_username", Text).alias("username"),
	bridgeOption("restart_timeout", Text),
	bridgeOption("round_robin", Bool),
	bridgeOption("start_type", Text),
	bridgeOption("threshold", Number),
	bridgeOption("topic", Text),
	bridgeOption("try_private", Bool),
}

// bridgeOption is an option below a connection line.
func bridgeOption(name string, kind Kind) Option {
	return refused(name, PerBridge, kind, "", "An option of a bridge.")
}
