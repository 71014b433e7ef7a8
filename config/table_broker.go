package config

import "time"

// globalOptions are the options of the broker as a whole and of what
// per_listener_settings moves to the listeners.
var globalOptions = []Option{
	securityText("acl_file", "Access rules from a file, as docs/access.md says. Without it a client may do all; an empty file lets nobody do anything.",
		func(s *security) *string { return &s.aclFile }),
	{
		Name: "allow_anonymous", Kind: Bool, Scope: Security, Default: "false",
		Doc: "Lets clients in that give no user name. Without any listener the default is true," +
			" and only the loopback addresses are listened on.",
		set: func(t *target, v value) error {
			t.security.anonymous = &v.on
			return nil
		},
	},
	brokerBool("allow_duplicate_messages", "false", "Sends clients of 3.1 and 3.1.1 a copy for each of their subscriptions that"+
		" match, as clients of 5.0 always get; otherwise one, at the highest QoS.",
		func(c *Config) *bool { return &c.AllowDuplicateMessages }),
	{
		Name: "allow_zero_length_clientid", Kind: Bool, Scope: Security, Default: "true",
		Doc: "Lets clients in that leave their client id to the broker.",
		set: func(t *target, v value) error {
			t.security.emptyID = &v.on
			return nil
		},
	},
	noEffect("auth_plugin_deny_special_chars", Global, Bool, "Where + # / stand in user names and client ids they never act as parts of a pattern, whatever this says."),
	{
		Name: "auto_id_prefix", Kind: Text, Scope: Security, Default: defaultIDPrefix,
		Doc: "Starts the client ids that the broker makes up; at most 50 bytes.",
		set: func(t *target, v value) error { return setIDPrefix(t.security, v) },
	},
	noEffect("autosave_interval", Global, Number, "Nothing waits for a save: with persistence true everything is written as it happens, and forced to the"+
		" disk as persistence_sync says."),
	noEffect("autosave_on_changes", Global, Bool, "See autosave_interval."),
	brokerBool("check_retain_source", "true", "Delivers a retained message only if the access rules"+
		" still let its publisher publish it.", func(c *Config) *bool { return &c.CheckRetainSource }),
	brokerText("clientid_prefixes", "Lets in only clients whose id begins so; deprecated in Mosquitto.",
		func(c *Config) *string { return &c.ClientIDPrefix }),
	{
		Name: "connect_timeout", Kind: Number, Min: 1, Max: 3600, Unit: "seconds", Default: "10",
		Doc: "How long a connection may take until its CONNECT is accepted, the PROXY header, TLS, the upgrade to WebSocket and exchanges of AUTH included. Then it is closed.",
		set: func(t *target, v value) error {
			t.cfg.ConnectTimeout = time.Duration(v.number) * time.Second
			return nil
		},
	},
	brokerBool("connection_messages", "true", "Logs each connect and disconnect.",
		func(c *Config) *bool { return &c.ConnectionMessages }),
	brokerBool("enable_control_api", "false", "Answers requests that clients publish to $CONTROL/broker/v1, about listeners and plugins. Who may publish there is a matter of"+
		" acl_file or rules_file; without them everybody may.", func(c *Config) *bool { return &c.EnableControlAPI }),
	brokerBool("explain_to_client", "false", "Tells clients of 5.0 in the reason string which rule of which file denies them what they asked for. It names files and"+
		" rules: for the time of the search for a mistake.", func(c *Config) *bool { return &c.ExplainToClient }),
	brokerNumber("global_max_clients", NoLimit, 1<<31-1, "clients", "-1",
		"Clients that may have a session at once, connected or not; 0 or -1 for no limit. A new client beyond it is"+
			" refused with 0x89, server busy, before 5.0 with 3, server unavailable.",
		func(c *Config) *int { return &c.MaxClients }).lowest(),
	brokerNumber("global_max_connections", NoLimit, 1<<31-1, "connections", "-1",
		"Clients that may be connected at once over all listeners; 0 or -1 for no limit.",
		func(c *Config) *int { return &c.MaxConnections }).lowest(),
	{
		Name: "global_plugin", Kind: Text, Repeated: true,
		Doc: "plugin for all listeners, even with per_listener_settings true.",
		set: func(t *target, v value) error { return setPlugin(t, &t.parser.security, broker, v.text) },
	},
	{
		Name: "include_dir", Kind: Text, Repeated: true,
		Doc: "Reads all files of a folder whose names end in .conf, in alphabetical order. In the main file only.",
		set: func(t *target, v value) error { return t.include(v.text) },
	},
	{
		Name: "log_dest", Kind: Fields, Syntax: "stdout, stderr, syslog, topic, none or file PATH", Default: "stderr", Repeated: true,
		Doc: "Where the log goes; several lines add up, none forgets those before it. topic publishes each line to" +
			" $SYS/broker/log/E, W, N, I or M, by its kind; debug lines are not published.",
		set: setLogDest,
	},
	{
		Name: "log_facility", Kind: Number, Min: 0, Max: 7, Doc: "The syslog facility, local0 to local7; without it daemon.",
		set: func(t *target, v value) error {
			t.cfg.Log.Facility = int(v.number)
			return nil
		},
	},
	{
		Name: "log_format", Kind: Word, Words: []string{"text", "json"}, Default: "text",
		Doc: "text writes lines as Mosquitto does, json one object a line: time, level, msg and, where there are, client, address and user.",
		set: func(t *target, v value) error {
			t.cfg.Log.JSON = v.text == "json"
			return nil
		},
	},
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
	brokerNumber("max_connection_rate", 0, 1<<31-1, "connections", "0",
		"Connections that one address may make within a second, an IPv6 network of 64 bits counting as one; further ones are closed at once. 0 for no limit.",
		func(c *Config) *int { return &c.MaxConnectionRate }),
	brokerNumber("max_inflight_bytes", 0, 1<<31-1, "bytes", "0",
		"Payload bytes of QoS 1 and 2 messages in flight to a client beyond which it is sent no other; 0 for no limit.",
		func(c *Config) *int64 { return &c.MaxInflightBytes }).lowest(),
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
	brokerNumber("max_shared_subscriptions", 0, 1<<31-1, "subscriptions", "100",
		"Shared subscriptions ($share) that one session may have, which count for max_subscriptions, too; 0 for no limit. Each group gets every"+
			" message that matches, so that a client in many groups makes messages dear. A further one is refused with 0x97, before 5.0 with 0x80.",
		func(c *Config) *int { return &c.MaxSharedSubscriptions }),
	brokerNumber("max_subscriptions", 0, 1<<31-1, "subscriptions", "10000",
		"Subscriptions that one session may have, connected or not; 0 for no limit. A further one is refused with 0x97, before 5.0 with 0x80; one"+
			" that the session has may be replaced. Mosquitto has no limit.",
		func(c *Config) *int { return &c.MaxSubscriptions }),
	brokerNumber("max_unauthenticated_connections", 0, 1<<31-1, "connections", "10000",
		"Connections at once whose CONNECT is not accepted yet, those with an exchange of AUTH among them; further ones are closed at once. 0 for no limit.",
		func(c *Config) *int { return &c.MaxUnauthenticated }),
	brokerNumber("memory_limit", 0, 1<<53, "bytes", "0", "Heap that the broker keeps to; 0 for no limit. From seven eighths of it on, nothing that waits for clients may grow:"+
		" QoS 0 is dropped for a client behind which more than 32 KiB waits, QoS 1 and 2 for one whose window is full, and messages that would have to be stored get 0x97, before 5.0 no"+
		" acknowledgement; who sends a packet of more than 64 KiB is disconnected with 0x97. From all of it on, new clients are refused with 0x97, before 5.0 with 3. Near it memory is collected more often.",
		func(c *Config) *int64 { return &c.MemoryLimit }),
	brokerNumber("message_size_limit", 0, 268435455, "bytes", "0",
		"The largest payload that is accepted; 0 for no limit but max_packet_size. A larger one is acknowledged and dropped; a larger will refuses the CONNECT.",
		func(c *Config) *uint32 { return &c.MessageSizeLimit }),
	noEffect("packet_buffer_size", Global, Number, "Unio sizes its buffers itself.").alias("websockets_headers_size"),
	securityText("password_file", "User names and hashes of passwords from a file that unio passwd makes. Who gives a user name is let in only if it is there and the password is right.",
		func(s *security) *string { return &s.passwordFile }),
	{
		Name: "per_listener_settings", Kind: Bool, Default: "false",
		Doc: "Makes the options of the scope \"broker or listener\" apply to the listener above them. Must come before them.",
		set: func(t *target, v value) error { return t.perListener(v.on) },
	},
	brokerBool("persistence", "false", "Keeps stored sessions, their subscriptions and queued messages, and retained messages on disk."+
		" Without it they live in memory, until the broker stops.",
		func(c *Config) *bool { return &c.Persistence }).fixed().alias("retained_persistence"),
	{
		Name: "persistence_file", Kind: Text, Default: "mosquitto.db", Fixed: true,
		Doc: "The name of Mosquitto's file in persistence_location. Unio's folder lies beside it, with .unio behind its" +
			" name; the file itself is only read, by unio migrate.",
		set: func(t *target, v value) error {
			t.cfg.PersistenceFile = v.text
			return nil
		},
	},
	brokerText("persistence_location", "The folder for the data; without it the working directory. MOSQUITTO_PERSISTENCE_LOCATION in"+
		" the environment goes before it. One broker can use it at a time.", func(c *Config) *string { return &c.PersistenceLocation }).fixed(),
	{
		Name: "persistence_sync", Kind: Fields, Syntax: "always, interval MS or never", Default: "always", Fixed: true,
		Doc: "When data is forced to the disk. always: before anything is acknowledged; nothing acknowledged is lost by kill -9 or a power" +
			" cut. interval MS: every so many milliseconds, 1 to 60000; a power cut may lose what was acknowledged since, kill -9 nothing. never: when the" +
			" system pleases, often after 30 s; as with an interval.",
		set: func(t *target, v value) error { return setPersistenceSync(t.cfg, v.text) },
	},
	{
		Name: "persistent_client_expiration", Kind: Duration,
		Doc: "How long a session without a connection is kept at most; without it as long as the client asked.",
		set: func(t *target, v value) error {
			t.cfg.PersistentClientExpiration = time.Duration(v.number) * time.Second
			return nil
		},
	},
	brokerText("pid_file", "A file to write the process id to; removed at the end, or emptied where the user may not remove it. Root follows no link.",
		func(c *Config) *string { return &c.PIDFile }).fixed(),
	{
		Name: "plugin", Kind: Text, Scope: Security, Repeated: true, Aliases: []string{"auth_plugin"},
		Doc: "One of Mosquitto's own plugins that are built in, by the name of its file, whatever stands before and behind that: mosquitto_dynamic_security, mosquitto_acl_file," +
			" mosquitto_password_file or mosquitto_persist_sqlite, which means persistence true. Nothing is loaded. Any other one: the broker does not start, and its exit status is 13.",
		set: func(t *target, v value) error {
			section := broker
			if t.separate {
				section = t.cur.number
			}
			return setPlugin(t, t.security, section, v.text)
		},
	},
	{
		Name: "plugin_load", Kind: Fields, Syntax: "NAME PATH", Repeated: true,
		Doc: "plugin for the listeners that name it by plugin_use.",
		set: setPluginLoad,
	},
	{
		Name: "plugin_opt_*", Kind: Text, Aliases: []string{"auth_opt_*"},
		Doc: "An option of the plugin above: config_file and password_init_file of dynamic security, as docs/dynamic-security.md says; acl_file; password_file; of" +
			" mosquitto_persist_sqlite sync, of which off means persistence_sync never unless that is set, and the others what it is; db_file, whose folder is persistence_location if that is not set;" +
			" flush_period and page_size, which have no effect: everything is written as it happens.",
		set: setPluginOption,
	},
	{
		Name: "plugin_use", Kind: Text, Scope: PerListener, Repeated: true,
		Doc: "Uses a plugin of plugin_load for this listener.",
		set: setPluginUse,
	},
	securityText("psk_file", "The identities and keys for listeners with psk_hint: a line each, IDENTITY:KEY, the key in hexadecimal.",
		func(s *security) *string { return &s.pskFile }),
	brokerBool("queue_qos0_messages", "false", "Keeps QoS 0 messages, too, for a client that is away.",
		func(c *Config) *bool { return &c.QueueQoS0Messages }),
	brokerBool("retain_available", "true", "Supports retained messages; if false, a client that publishes one is disconnected.",
		func(c *Config) *bool { return &c.RetainAvailable }),
	{
		Name: "retain_expiry_interval", Kind: Number, Min: 0, Max: 1 << 24, Unit: "minutes", Default: "0",
		Doc: "The time between two searches for retained messages whose Message Expiry Interval has passed, to remove them; 0 for none. They are" +
			" never delivered, with or without it.",
		set: func(t *target, v value) error {
			t.cfg.RetainExpiryInterval = time.Duration(v.number) * time.Minute
			return nil
		},
	},
	noEffect("retry_interval", Global, Number, "Mosquitto has none either any more: messages are sent again on"+
		" reconnect alone [MQTT-4.4.0-1]."),
	securityText("rules_file", "Access rules with conditions from a file, as docs/rules.md says. With acl_file, too, a client may do what both allow.",
		func(s *security) *string { return &s.rulesFile }),
	brokerBool("set_tcp_nodelay", "true", "Switches Nagle's algorithm off on client connections. Mosquitto's default is false.",
		func(c *Config) *bool { return &c.SetTCPNoDelay }),
	noEffect("store_clean_interval", Global, Number, "Mosquitto has none either any more."),
	{
		Name: "sys_interval", Kind: Number, Min: 0, Max: 65535, Unit: "seconds", Default: "10",
		Doc: "The time between two refreshes of the $SYS topics; 0 for none.",
		set: func(t *target, v value) error {
			t.cfg.SysInterval = time.Duration(v.number) * time.Second
			return nil
		},
	},
	brokerBool("upgrade_outgoing_qos", "false", "Delivers with the QoS of the subscription even what was published"+
		" with a lower one; not as MQTT asks.",
		func(c *Config) *bool { return &c.UpgradeOutgoingQoS }),
	{
		Name: "user", Kind: Text, Default: defaultUser,
		Doc: "The user to run as when started by root: the broker changes to it and its groups before it serves anybody. PUID and PGID in the" +
			" environment go first; without PGID the group is that of the user PUID, or the same number. Without mosquitto on the system nobody is taken; another one that is not there is an error. root stays root.",
		set: func(t *target, v value) error {
			if !t.first {
				return problem("is given twice; it can have one value only")
			}
			t.cfg.User = v.text
			return nil
		},
		Fixed: true,
	},
	noEffect("websockets_log_level", Global, Number, "An option of a library that Unio does not use."),
}

// defaultIDPrefix starts the client ids that the broker makes up; maxIDPrefix is
// Mosquitto's limit for another one.
const (
	defaultIDPrefix = "auto-"
	maxIDPrefix     = 50
)

// defaultUser is the user that a broker changes to when root starts it.
const defaultUser = "mosquitto"

// setIDPrefix handles auto_id_prefix and listener_auto_id_prefix.
func setIDPrefix(s *security, v value) error {
	if len(v.text) > maxIDPrefix {
		return expected("at most %d bytes, not %d", maxIDPrefix, len(v.text))
	}
	return setOnce(&s.idPrefix, v.text)
}
