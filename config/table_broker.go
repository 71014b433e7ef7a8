package config

import "time"

// globalOptions are the options of the broker as a whole and of what
// per_listener_settings moves to the listeners.
var globalOptions = []Option{
	refused("acl_file", Security, Text, "", "Access rules from a file."),
	{
		Name: "allow_anonymous", Kind: Bool, Scope: Security, Default: "false",
		Doc: "Lets clients in that give no user name. Without any listener the default is true," +
			" and only the loopback addresses are listened on.",
		set: func(t *target, v value) error {
			t.security.anonymous = &v.on
			return nil
		},
	},
	noEffect("allow_duplicate_messages", Global, Bool, "Deprecated in Mosquitto, whose default is Unio's only way: each"+
		" overlapping subscription may deliver."),
	{
		Name: "allow_zero_length_clientid", Kind: Bool, Scope: Security, Default: "true",
		Doc: "Lets clients in that leave their client id to the broker.",
		set: func(t *target, v value) error {
			t.security.emptyID = &v.on
			return nil
		},
	},
	refused("auth_plugin_deny_special_chars", Global, Bool, "", "An option of a plugin."),
	{
		Name: "auto_id_prefix", Kind: Text, Scope: Security, Default: defaultIDPrefix,
		Doc: "Starts the client ids that the broker makes up; at most 50 bytes.",
		set: func(t *target, v value) error { return setIDPrefix(t.security, v) },
	},
	noEffect("autosave_interval", Global, Number, "Unio never saves at intervals."),
	noEffect("autosave_on_changes", Global, Bool, "Unio never saves at intervals."),
	noEffect("check_retain_source", Global, Bool, "Nothing to check as long as there are no access rules."),
	refused("clientid_prefixes", Global, Text, "", "Lets only client ids with this prefix in; deprecated in Mosquitto."),
	brokerBool("connection_messages", "true", "Logs each connect and disconnect.",
		func(c *Config) *bool { return &c.ConnectionMessages }),
	warned("enable_control_api", Global, Bool, "false", "There is no $CONTROL/broker/v1."),
	warned("global_max_clients", Global, Number, "-1", "The number of sessions is not limited."),
	brokerNumber("global_max_connections", NoLimit, 1<<31-1, "connections", "-1",
		"Clients that may be connected at once over all listeners; 0 or -1 for no limit.",
		func(c *Config) *int { return &c.MaxConnections }).lowest(),
	refused("global_plugin", Global, Text, "", "Plugins."),
	{
		Name: "include_dir", Kind: Text, Repeated: true,
		Doc: "Reads all files of a folder whose names end in .conf, in alphabetical order. In the main file only.",
		set: func(t *target, v value) error { return t.include(v.text) },
	},
	{
		Name: "log_dest", Kind: Fields, Syntax: "stdout, stderr, none or file PATH", Default: "stderr", Repeated: true,
		Doc: "Where the log goes; several lines add up, none forgets those before it. syslog," +
			" topic, dlt and android log to stderr, with a warning.",
		set: setLogDest,
	},
	warned("log_facility", Global, Number, "", "There is no syslog."),
	brokerBool("log_timestamp", "true", "Starts each line of the log with the time.",
		func(c *Config) *bool { return &c.Log.Timestamp }),
	brokerText("log_timestamp_format", "The time's format as of strftime(3); without it the seconds since 1970.",
		func(c *Config) *string { return &c.Log.TimestampFormat }),
	{
		Name: "log_type", Kind: Word, Default: "error warning notice information", Repeated: true,
		Words: []string{
			"all", "debug", "error", "information", "internal", "none", "notice",
			"subscribe", "unsubscribe", "warning", "websockets",
		},
		Doc: "What is logged; several lines add up, none forgets those before it.",
		set: setLogType,
	},
	warned("max_inflight_bytes", Global, Number, "0", "Messages in flight are bounded by max_inflight_messages alone."),
	brokerNumber("max_inflight_messages", 0, 65535, "messages", "20",
		"QoS 1 and 2 messages that may be sent to a client and not yet acknowledged; 0 for no limit but the protocol's.",
		func(c *Config) *uint16 { return &c.MaxInflightMessages }).lowest(),
	brokerNumber("max_keepalive", 0, 65535, "seconds", "0",
		"The largest keep alive that a client may ask for; 0 for no limit. A 5.0 client that asks for"+
			" more, or for none, is told this one; an older one is refused.",
		func(c *Config) *uint16 { return &c.MaxKeepAlive }),
	brokerNumber("max_packet_size", 20, 1<<31-1, "bytes", "2000000",
		"The largest packet that is accepted, told to 5.0 clients. A larger one closes"+
			" the connection. MQTT has none over 268435460.",
		func(c *Config) *uint32 { return &c.MaxPacketSize }),
	brokerNumber("max_queued_bytes", 0, 1<<31-1, "bytes", "0",
		"Payload bytes that may wait for one client; 0 for no limit. What is over the limit is dropped.",
		func(c *Config) *int64 { return &c.MaxQueuedBytes }).lowest(),
	brokerNumber("max_queued_messages", 0, 1<<31-1, "messages", "1000",
		"Messages that may wait for one client besides those in flight; 0 for no limit. What is over the limit is dropped.",
		func(c *Config) *int { return &c.MaxQueuedMessages }).lowest(),
	warned("memory_limit", Global, Number, "0", "Memory is not limited; GOMEMLIMIT in the environment makes Go collect earlier."),
	brokerNumber("message_size_limit", 0, 268435455, "bytes", "0",
		"The largest payload that is accepted; 0 for no limit but max_packet_size. A larger one is acknowledged and dropped.",
		func(c *Config) *uint32 { return &c.MessageSizeLimit }),
	noEffect("packet_buffer_size", Global, Number, "Unio sizes its buffers itself.").alias("websockets_headers_size"),
	refused("password_file", Security, Text, "", "User names and passwords from a file."),
	{
		Name: "per_listener_settings", Kind: Bool, Default: "false",
		Doc: "Makes the options of the scope \"broker or listener\" apply to the listener above them. Must come before them.",
		set: func(t *target, v value) error { return t.perListener(v.on) },
	},
	warned("persistence", Global, Bool, "false", "Sessions and messages are kept in memory and lost when the broker"+
		" stops.").alias("retained_persistence"),
	warned("persistence_file", Global, Text, "", "Nothing is written to disk."),
	warned("persistence_location", Global, Text, "", "Nothing is written to disk."),
	{
		Name: "persistent_client_expiration", Kind: Duration,
		Doc: "How long a session without a connection is kept at most; without it as long as the client asked.",
		set: func(t *target, v value) error {
			t.cfg.PersistentClientExpiration = time.Duration(v.number) * time.Second
			return nil
		},
	},
	brokerText("pid_file", "A file to write the process id to; removed at the end.",
		func(c *Config) *string { return &c.PIDFile }),
	refused("plugin", Security, Text, "", "Plugins.").alias("auth_plugin"),
	refused("plugin_load", Global, Text, "", "Plugins."),
	refused("plugin_opt_*", Global, Text, "", "An option of a plugin.").alias("auth_opt_*"),
	refused("plugin_use", PerListener, Text, "", "Plugins."),
	refused("psk_file", Security, Text, "", "Pre-shared keys from a file."),
	brokerBool("queue_qos0_messages", "false", "Keeps QoS 0 messages, too, for a client that is away.",
		func(c *Config) *bool { return &c.QueueQoS0Messages }),
	brokerBool("retain_available", "true", "Supports retained messages; if false, a client that publishes one is disconnected.",
		func(c *Config) *bool { return &c.RetainAvailable }),
	warned("retain_expiry_interval", Global, Number, "", "Expired retained messages are not swept at this interval."),
	noEffect("retry_interval", Global, Number, "Mosquitto has none either any more: messages are sent again on"+
		" reconnect alone [MQTT-4.4.0-1]."),
	brokerBool("set_tcp_nodelay", "true", "Switches Nagle's algorithm off on client connections. Mosquitto's default is false.",
		func(c *Config) *bool { return &c.SetTCPNoDelay }),
	noEffect("store_clean_interval", Global, Number, "Mosquitto has none either any more."),
	warned("sys_interval", Global, Number, "0", "There are no $SYS topics."),
	brokerBool("upgrade_outgoing_qos", "false", "Delivers with the QoS of the subscription even what was published"+
		" with a lower one; not as MQTT asks.",
		func(c *Config) *bool { return &c.UpgradeOutgoingQoS }),
	brokerText("user", "The user to run as when started by root. Not available yet: a broker that"+
		" root starts with this line refuses to run.",
		func(c *Config) *string { return &c.User }),
	noEffect("websockets_log_level", Global, Number, "An option of a library that Unio does not use."),
}

// defaultIDPrefix starts the client ids that the broker makes up; maxIDPrefix is
// Mosquitto's limit for another one.
const (
	defaultIDPrefix = "auto-"
	maxIDPrefix     = 50
)

// setIDPrefix handles auto_id_prefix and listener_auto_id_prefix.
func setIDPrefix(s *security, v value) error {
	if len(v.text) > maxIDPrefix {
		return expected("at most %d bytes, not %d", maxIDPrefix, len(v.text))
	}
	return setOnce(&s.idPrefix, v.text)
}
