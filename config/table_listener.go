package config

// listenerOptions are the options of one listener.
var listenerOptions = []Option{
	{
		Name: "accept_protocol_versions", Kind: Fields, Scope: PerListener, Syntax: "a list of 3 (MQTT 3.1), 4 (3.1.1) and 5 (5.0), such as 4, 5",
		Doc: "The protocol versions that are accepted; without it all. Others are refused with the code for it.",
		set: setVersions,
	},
	listenerText("acme_cache", "The folder that keeps the account and the certificates of acme_domain; without it acme in persistence_location.",
		func(l *Listener) *string { return &l.TLS.ACME.Cache }).fixed(),
	listenerText("acme_directory", "The URL of another authority that speaks ACME.",
		func(l *Listener) *string { return &l.TLS.ACME.Directory }).fixed(),
	{
		Name: "acme_domain", Kind: Text, Scope: PerListener, Repeated: true,
		Doc: "A name of this broker, for which a certificate is got from Let's Encrypt, or from acme_directory, and renewed; several lines add up. The authority connects to port 443 of that name:" +
			" the listener must be reached there.",
		set: func(t *target, v value) error {
			t.section.TLS.ACME.Domains = append(t.section.TLS.ACME.Domains, v.text)
			return nil
		},
		Fixed: true,
	},
	listenerText("acme_email", "Where the authority writes to when something is wrong.",
		func(l *Listener) *string { return &l.TLS.ACME.Email }).fixed(),
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
	listenerText("cafile", "A file with the certificates that vouch for clients' certificates.",
		func(l *Listener) *string { return &l.TLS.CAFile }),
	listenerText("capath", "A folder with such certificates: every file of it whose name ends in .pem, .crt, .cer or as OpenSSL's rehash names them.",
		func(l *Listener) *string { return &l.TLS.CAPath }),
	listenerText("certfile", "The broker's certificate, and behind it those that vouch for it; with keyfile it makes the listener one for TLS. If it stands"+
		" alone, those of cafile and capath that vouch for it are sent with it. Read again when the file changes.", func(l *Listener) *string { return &l.TLS.CertFile }),
	listenerText("ciphers", "The suites of TLS 1.2, and those for pre-shared keys, by OpenSSL's names, with : between them; without it all that are safe.",
		func(l *Listener) *string { return &l.TLS.Ciphers }),
	listenerText("ciphers_tls1.3", "The suites of TLS 1.3. All three are always in use: they are equally safe, and a shorter list gives a warning.",
		func(l *Listener) *string { return &l.TLS.Ciphers13 }),
	listenerText("crlfile", "Lists of revoked certificates, from those who vouch for them. Clients whose certificate is on it are refused, and all that the list's"+
		" issuer vouches for once it has expired.", func(l *Listener) *string { return &l.TLS.CRLFile }),
	noEffect("dhparamfile", PerListener, Text, "Mosquitto has no use for it any more either."),
	listenerBool("disable_client_cert_date_checks", "false", "Accepts client certificates that are expired or not valid yet.",
		func(l *Listener) *bool { return &l.TLS.NoDateChecks }),
	listenerNumber("enable_proxy_protocol", 1, 2, "", "", "The version of the PROXY header, 1 or 2, that a load balancer sends first; who does not is refused. Without it no header is expected.",
		func(l *Listener) *int { return &l.ProxyProtocol }).fixed(),
	listenerText("http_dir", "A folder whose files a listener for WebSocket or for the HTTP API serves to browsers.",
		func(l *Listener) *string { return &l.HTTPDir }).fixed(),
	listenerText("keyfile", "The key to certfile, not encrypted.",
		func(l *Listener) *string { return &l.TLS.KeyFile }),
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
	listenerNumber("max_http_connections", 0, 1<<31-1, "connections", "1000",
		"Connections at once that a listener for WebSocket has and that are not upgraded yet; further ones are closed at once. 0 for no limit. They"+
			" count neither for max_connections nor for max_unauthenticated_connections. The HTTP API has max_connections.",
		func(l *Listener) *int { return &l.MaxHTTPConnections }),
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
		Doc:   "Goes before all topics of the listener's clients, which never see it; usually it ends in a slash. Another mount point is another session, whatever the client id. Topics that are longer than 65,535 bytes with it are refused.",
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
		Doc: "What the listener speaks: MQTT, MQTT over WebSocket, or no MQTT but the HTTP API.",
		set: setProtocol, Fixed: true,
	},
	listenerBool("proxy_protocol_v2_require_tls", "false", "Refuses connections that came to the load balancer without TLS.",
		func(l *Listener) *bool { return &l.ProxyRequireTLS }),
	listenerText("psk_hint", "Makes the listener one for TLS with pre-shared keys, which psk_file has, and is told to clients.",
		func(l *Listener) *string { return &l.TLS.PSKHint }),
	listenerBool("require_certificate", "false", "Refuses clients without a certificate that cafile or capath vouches for. Behind enable_proxy_protocol 2 the load balancer must"+
		" have seen one.", func(l *Listener) *bool { return &l.TLS.RequireCertificate }),
	{
		Name: "socket_domain", Kind: Word, Words: []string{"ipv4", "ipv6"}, Scope: PerListener,
		Doc: "Listens on addresses of this kind alone; without it on both.",
		set: func(t *target, v value) error {
			t.section.SocketDomain = v.text
			return nil
		},
		Fixed: true,
	},
	refused("tls_engine", PerListener, Text, "", "Keys in hardware, by OpenSSL."),
	refused("tls_engine_kpass_sha1", PerListener, Text, "", "Keys in hardware, by OpenSSL."),
	refused("tls_keyform", PerListener, Text, "pem", "Keys in hardware, by OpenSSL."),
	{
		Name: "tls_version", Kind: Text, Scope: PerListener, Doc: "The lowest version of TLS, tlsv1.2 or tlsv1.3; without it tlsv1.2. tlsv1.1 gives a warning and means tlsv1.2.",
		set: setTLSVersion,
	},
	listenerBool("use_identity_as_username", "false", "Makes the common name of the client's certificate the user name, or its PSK identity; no password is asked for. A client"+
		" without is refused.", func(l *Listener) *bool { return &l.IdentityAsUsername }),
	listenerBool("use_subject_as_username", "false", "The same with the whole subject of the certificate, as RFC 2253 writes it.",
		func(l *Listener) *bool { return &l.SubjectAsUsername }),
	{
		Name: "use_username_as_clientid", Kind: Bool, Scope: PerListener, Default: "false",
		Doc: "Makes the user name the client id, so that a client can take over its own session alone. A client without a user name is refused.",
		set: func(t *target, v value) error {
			t.section.UsernameAsClientID = v.on
			return nil
		},
	},
	{
		Name: "websockets_forwarded_for", Kind: Fields, Scope: PerListener, Default: "false",
		Syntax: "false, or a list of addresses and networks, such as 10.0.0.0/8",
		Doc: "The proxies whose X-Forwarded-For says the address of a WebSocket client. Anybody can write the header: that of others does not count." +
			" On a Unix socket who connects is such a proxy. true, as Mosquitto has it, is an error: name the proxies.",
		set: setForwardedFor, Fixed: true,
	},
	{
		Name: "websockets_origin", Kind: Text, Scope: PerListener, Repeated: true,
		Doc: "An origin, such as https://example.org, that web pages which connect must come from; several lines add up. Without it they may come from anywhere.",
		set: func(t *target, v value) error {
			t.section.WebSocketOrigins = append(t.section.WebSocketOrigins, v.text)
			return nil
		},
		Fixed: true,
	},
}
