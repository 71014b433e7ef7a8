package config

// listenerOptions are the options of one listener.
var listenerOptions = []Option{
	{
		Name: "accept_protocol_versions", Kind: Fields, Scope: PerListener, Syntax: "a list of 3 (MQTT 3.1), 4 (3.1.1) and 5 (5.0), such as 4, 5",
		Doc: "The protocol versions that are accepted; without it all. Others are refused with the code for it.",
		set: setVersions,
	},
	{
		Name: "bind_address", Kind: Text, Scope: PerListener,
		Doc: "The address of the listener that port makes; deprecated, use listener.",
		set: func(t *target, v value) error {
			t.useDefaultSection()
			return setOnce(&t.section.Address, v.text)
		},
		Fixed: true,
	},
	listenerText("bind_interface", "Listens on one network interface, whatever its addresses are. On Linux alone; elsewhere the broker does not start.",
		func(l *Listener) *string { return &l.BindInterface }).fixed(),
	refused("cafile", PerListener, Text, "", "TLS."),
	refused("capath", PerListener, Text, "", "TLS."),
	refused("certfile", PerListener, Text, "", "TLS."),
	refused("ciphers", PerListener, Text, "", "TLS."),
	refused("ciphers_tls1.3", PerListener, Text, "", "TLS."),
	refused("crlfile", PerListener, Text, "", "TLS."),
	noEffect("dhparamfile", PerListener, Text, "Mosquitto has no use for it any more either."),
	refused("disable_client_cert_date_checks", PerListener, Bool, "false", "TLS."),
	refused("enable_proxy_protocol", PerListener, Number, "", "The PROXY protocol."),
	refused("http_dir", PerListener, Text, "", "Serves files over HTTP."),
	refused("keyfile", PerListener, Text, "", "TLS."),
	{
		Name: "listener", Kind: Fields, Scope: PerListener, Repeated: true,
		Syntax: "PORT [ADDRESS], or 0 PATH for a Unix socket",
		Doc:    "Listens on a port, on all addresses or on those of one IP address or host name. The options of the listener follow it.",
		set:    setListener,
		Fixed:  true,
	},
	{
		Name: "listener_allow_anonymous", Kind: Bool, Scope: PerListener,
		Doc: "allow_anonymous for this listener; without it that of the broker.",
		set: func(t *target, v value) error {
			t.section.anonymous = &v.on
			return nil
		},
	},
	{
		Name: "listener_auto_id_prefix", Kind: Text, Scope: PerListener,
		Doc: "auto_id_prefix for this listener; without it that of the broker.",
		set: func(t *target, v value) error { return setIDPrefix(&t.section.security, v) },
	},
	listenerNumber("max_connections", NoLimit, 1<<31-1, "connections", "-1",
		"Clients that may be connected at once; 0 or -1 for no limit.",
		func(l *Listener) *int { return &l.MaxConnections }).lowest(),
	listenerNumber("max_qos", 0, 2, "", "2",
		"The highest QoS that a client may publish with, told to 5.0 clients. One that uses a higher one is disconnected.",
		func(l *Listener) *byte { return &l.MaxQoS }).alias("maximum_qos"),
	listenerNumber("max_topic_alias", 0, 65535, "aliases", "10",
		"Topic aliases that a 5.0 client may make; 0 for none.",
		func(l *Listener) *uint16 { return &l.MaxTopicAlias }),
	listenerNumber("max_topic_alias_broker", 0, 65535, "aliases", "10",
		"Topic aliases that the broker makes for a 5.0 client at most, if the client allows as many; 0 for none.",
		func(l *Listener) *uint16 { return &l.MaxTopicAliasBroker }),
	{
		Name: "mount_point", Kind: Text, Scope: PerListener,
		Doc:   "Goes before all topics of the listener's clients, which never see it; usually it ends in a slash.",
		Fixed: true, set: setMountPoint,
	},
	{
		Name: "mptcp", Kind: Bool, Scope: PerListener, Default: "false",
		Doc: "Accepts Multipath TCP as well as plain TCP; on a system that has none, plain TCP alone.",
		set: func(t *target, v value) error {
			t.section.MPTCP = v.on
			return nil
		},
		Fixed: true,
	},
	{
		Name: "port", Kind: Number, Min: 1, Max: 65535, Scope: PerListener,
		Doc: "The port of one listener besides those of listener; deprecated, use listener.",
		set: func(t *target, v value) error {
			t.useDefaultSection()
			t.section.Port = uint16(v.number)
			return nil
		},
		Fixed: true,
	},
	{
		Name: "protocol", Kind: Word, Words: []string{"mqtt", "websockets", "http_api"}, Default: "mqtt", Scope: PerListener,
		Doc: "What the listener speaks. websockets and http_api are not available yet: the broker does not start.",
		set: func(_ *target, v value) error {
			if v.text != "mqtt" {
				return problem(v.text + " is not available yet")
			}
			return nil
		},
		Fixed: true,
	},
	refused("proxy_protocol_v2_require_tls", PerListener, Bool, "false", "The PROXY protocol."),
	refused("psk_hint", PerListener, Text, "", "TLS with pre-shared keys."),
	refused("require_certificate", PerListener, Bool, "false", "TLS."),
	{
		Name: "socket_domain", Kind: Word, Words: []string{"ipv4", "ipv6"}, Scope: PerListener,
		Doc: "Listens on addresses of this kind alone; without it on both.",
		set: func(t *target, v value) error {
			t.section.SocketDomain = v.text
			return nil
		},
		Fixed: true,
	},
	refused("tls_engine", PerListener, Text, "", "TLS."),
	refused("tls_engine_kpass_sha1", PerListener, Text, "", "TLS."),
	refused("tls_keyform", PerListener, Text, "pem", "TLS."),
	refused("tls_version", PerListener, Text, "", "TLS."),
	refused("use_identity_as_username", PerListener, Bool, "false", "Takes the user name from a certificate."),
	refused("use_subject_as_username", PerListener, Bool, "false", "Takes the user name from a certificate."),
	{
		Name: "use_username_as_clientid", Kind: Bool, Scope: PerListener, Default: "false",
		Doc: "Makes the user name the client id, so that a client can take over its own session alone. A client without a user name is refused.",
		set: func(t *target, v value) error {
			t.section.UsernameAsClientID = v.on
			return nil
		},
	},
	refused("websockets_origin", PerListener, Text, "", "MQTT over WebSocket."),
}
