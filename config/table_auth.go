package config

import (
	"slices"
	"strings"
	"time"
)

// authOptions are the options of authentication; docs/authentication.md shows how they go together.
var authOptions = []Option{
	brokerText("audit_log", "A file that gets a JSON object in a line for each security event: failed logins, denials, bans, clients that lost their right to be there,"+
		" reloads. Opened anew when the log is.", func(c *Config) *string { return &c.AuditLog }),
	brokerNumber("auth_ban_attempts", 0, 1000, "attempts", "20", "Different wrong credentials within auth_ban_window after which an address, or a user name, is banned; 0 for never."+
		" The same wrong password again is no other attempt, unless the client hangs up before the answer, and who logged in before from the same address with that name is not banned with it.",
		func(c *Config) *int { return &c.Ban.Attempts }),
	{
		Name: "auth_ban_delay", Kind: Number, Min: 0, Max: 10000, Unit: "milliseconds", Default: "2000",
		Doc: "The longest time that the answer to a failed login is kept back. It is 50 for the third failure of an address and doubles with each; 0 for none.",
		set: func(t *target, v value) error {
			t.cfg.Ban.Delay = time.Duration(v.number) * time.Millisecond
			return nil
		},
	},
	{
		Name: "auth_ban_exempt", Kind: Fields, Syntax: "a list of addresses and networks, such as 192.0.2.0/24", Default: "127.0.0.0/8 ::1",
		Doc: "Addresses that are never banned and whose failures are not counted, such as those of proxies.",
		set: func(t *target, v value) error {
			var err error
			t.cfg.Ban.Exempt, err = readNetworks(v.text)
			return err
		},
	},
	banSeconds("auth_ban_time", 1, "600", "How long a ban lasts. It is twice as long each time that the same is banned again, at most a day.",
		func(b *Ban) *time.Duration { return &b.Time }),
	banSeconds("auth_ban_window", 1, "300", "How long a failure counts.", func(b *Ban) *time.Duration { return &b.Window }),
	authOption(Option{
		Name: "auth_cache_size", Kind: Number, Min: 0, Max: 1_000_000, Unit: "answers", Default: "10000",
		Doc: "Answers of each backend that are remembered, of those that let a client in and of the others each; 0 for none.",
	}, func(a *Auth, v value) error {
		a.CacheSize = int(v.number)
		return nil
	}),
	authSeconds("auth_cache_time", 0, 86400, "60", "How long sql, redis, ldap and http are not asked again about a client that they let in: the same user name, password, client id and address.",
		func(a *Auth) *time.Duration { return &a.CacheTime }),
	authSeconds("auth_cache_time_failed", 0, 86400, "10", "auth_cache_time for clients that they did not let in.",
		func(a *Auth) *time.Duration { return &a.CacheTimeFailed }),
	authOption(Option{
		Name: "auth_chain", Kind: Fields, Syntax: "a list of " + orList(AuthLinks),
		Doc: "Who is asked about a client, in this order, until one knows it; without it all that the file configures, in the order of the list on the left.",
	}, setAuthChain),
	authText("auth_http_cafile", "Certificates in PEM that may vouch for the server of auth_http_url; without it the system's.", func(a *Auth) *string { return &a.HTTP.CAFile }),
	authPairs("auth_http_field", "NAME TEMPLATE", "A field to send, with %u for the user name, %p the password, %c the client id and %a the address. Without any: username %u, password %p, clientid %c, address %a.",
		false, func(a *Auth) *[][2]string { return &a.HTTP.Fields }),
	authWord("auth_http_format", "json", "How a POST sends the fields.", []string{"json", "form"}, func(a *Auth) *string { return &a.HTTP.Format }),
	authText("auth_http_header_file", "A file with a header in each line, NAME: VALUE, to send along; the place for tokens.", func(a *Auth) *string { return &a.HTTP.HeaderFile }),
	authWord("auth_http_method", "post", "The method of requests. get puts the fields, the password too, into the URL, which servers write to their logs.", []string{"post", "get"}, func(a *Auth) *string { return &a.HTTP.Method }),
	authWord("auth_http_reply", "json", "json takes the answer from the member result (allow, deny, ignore) of a JSON object with status 200; status from the status alone, 200 and 204 for allow.",
		[]string{"json", "status"}, func(a *Auth) *string { return &a.HTTP.Reply }),
	authText("auth_http_url", "Asks a web server whether a client may connect.", func(a *Auth) *string { return &a.HTTP.URL }),
	authWords("auth_jwt_algorithms", "a list of algorithms, such as ES256 RS256", "The algorithms of signatures that are allowed; without it those that fit the keys. Never none.",
		func(a *Auth) *[]string { return &a.JWT.Algorithms }),
	authPairs("auth_jwt_attribute", "NAME [CLAIM]", "Gives a claim to access control as an attribute of the client; a dot leads into an object, as in realm_access.roles.", true,
		func(a *Auth) *[][2]string { return &a.JWT.Attributes }),
	authText("auth_jwt_audience", "What the claim aud must have.", func(a *Auth) *string { return &a.JWT.Audience }),
	authText("auth_jwt_cafile", "Certificates in PEM that may vouch for the server of auth_jwt_jwks_url; without it the system's.", func(a *Auth) *string { return &a.JWT.CAFile }),
	authPairs("auth_jwt_check", "CLAIM VALUE", "A claim that must be, or contain, the value, in which %u is the user name and %c the client id.", false,
		func(a *Auth) *[][2]string { return &a.JWT.Checks }),
	authText("auth_jwt_issuer", "What the claim iss must be.", func(a *Auth) *string { return &a.JWT.Issuer }),
	authText("auth_jwt_jwks_file", "Keys that sign tokens: a JWKS (RFC 7517).", func(a *Auth) *string { return &a.JWT.JWKSFile }),
	authSeconds("auth_jwt_jwks_refresh", 10, 86400, "3600", "The time between two fetches of auth_jwt_jwks_url. An unknown key is fetched at once, every 10 s at most.",
		func(a *Auth) *time.Duration { return &a.JWT.Refresh }),
	authText("auth_jwt_jwks_url", "Keys that sign tokens: where to fetch a JWKS.", func(a *Auth) *string { return &a.JWT.JWKSURL }),
	authOption(Option{Name: "auth_jwt_key_file", Kind: Text, Repeated: true, Doc: "A key that signs tokens: the public key or a certificate in PEM."}, func(a *Auth, v value) error {
		a.JWT.KeyFiles = append(a.JWT.KeyFiles, v.text)
		return nil
	}),
	authSeconds("auth_jwt_leeway", 0, 600, "0", "By how much the clocks of the issuer and of the broker may differ.", func(a *Auth) *time.Duration { return &a.JWT.Leeway }),
	authOption(Option{Name: "auth_jwt_require_expiry", Kind: Bool, Default: "true", Doc: "Denies tokens that have no end. A client is disconnected when its token ends."}, func(a *Auth, v value) error {
		a.JWT.RequireExpiry = v.on
		return nil
	}),
	authText("auth_jwt_secret_file", "A key that signs tokens: a file with the secret of HS256, HS384 or HS512; the end of its last line is not a part of it.", func(a *Auth) *string { return &a.JWT.SecretFile }),
	authText("auth_jwt_username_claim", "The claim that is the user name. It is that of a client that gives none; one that gives another is denied.", func(a *Auth) *string { return &a.JWT.UsernameClaim }),
	authText("auth_ldap_base", "The entry below which auth_ldap_filter looks for the user.", func(a *Auth) *string { return &a.LDAP.Base }),
	authText("auth_ldap_bind_dn", "Whom the broker logs in as to search; without it nobody.", func(a *Auth) *string { return &a.LDAP.BindDN }),
	authText("auth_ldap_bind_password_file", "A file with the password of auth_ldap_bind_dn.", func(a *Auth) *string { return &a.LDAP.BindPasswordFile }),
	authText("auth_ldap_cafile", "Certificates in PEM that may vouch for the LDAP server; without it the system's.", func(a *Auth) *string { return &a.LDAP.CAFile }),
	authText("auth_ldap_dn", "The entry of a user, as uid=%u,ou=people,dc=example,dc=com. In place of a search.", func(a *Auth) *string { return &a.LDAP.DN }),
	authText("auth_ldap_filter", "The filter that finds the entry of a user, as (uid=%u).", func(a *Auth) *string { return &a.LDAP.Filter }),
	authText("auth_ldap_group_attribute", "The attribute that names a group; without it cn.", func(a *Auth) *string { return &a.LDAP.GroupAttribute }),
	authText("auth_ldap_group_base", "The entry below which auth_ldap_group_filter looks for groups.", func(a *Auth) *string { return &a.LDAP.GroupBase }),
	authText("auth_ldap_group_filter", "The filter that finds the groups of a user, as (member=%d), with %d for the user's entry and %u for the user name. They become the attribute groups.",
		func(a *Auth) *string { return &a.LDAP.GroupFilter }),
	authOption(Option{Name: "auth_ldap_starttls", Kind: Bool, Default: "false", Doc: "Switches to TLS before anything is sent to an ldap:// server."}, func(a *Auth, v value) error {
		a.LDAP.StartTLS = v.on
		return nil
	}),
	authWords("auth_ldap_url", "a list of ldap://HOST[:PORT] or ldaps://HOST[:PORT]", "Asks an LDAP server; of several the next one if one cannot be reached.", func(a *Auth) *[]string { return &a.LDAP.URLs }),
	authWords("auth_redis_attributes", "a list of fields", "Fields of the hash that become attributes of the client; commas separate several values.", func(a *Auth) *[]string { return &a.Redis.Attributes }),
	authText("auth_redis_cafile", "Certificates in PEM that may vouch for a rediss:// server; without it the system's.", func(a *Auth) *string { return &a.Redis.CAFile }),
	authText("auth_redis_field", "The field that holds the password's hash; without it password_hash.", func(a *Auth) *string { return &a.Redis.Field }),
	authText("auth_redis_key", "The key of a user's hash; without it mqtt_user:%u. %c is the client id.", func(a *Auth) *string { return &a.Redis.Key }),
	authText("auth_redis_password_file", "A file with the password for Redis.", func(a *Auth) *string { return &a.Redis.PasswordFile }),
	authText("auth_redis_url", "Looks users up in Redis: redis://[USER@]HOST[:PORT][/DATABASE], or rediss:// for TLS.", func(a *Auth) *string { return &a.Redis.URL }),
	authText("auth_scram_file", "Credentials for SCRAM-SHA-256 and SCRAM-SHA-512 through AUTH of MQTT 5: a file that unio passwd -H scram makes.", func(a *Auth) *string { return &a.SCRAMFile }),
	authOption(Option{
		Name: "auth_sql_connections", Kind: Number, Min: 1, Max: 100, Unit: "connections", Default: "4", Doc: "Connections to the database, at most.",
	}, func(a *Auth, v value) error {
		a.SQL.Connections = int(v.number)
		return nil
	}),
	authText("auth_sql_group_query", "A query whose rows name the user's groups, which become the attribute groups.", func(a *Auth) *string { return &a.SQL.GroupQuery }),
	authText("auth_sql_password_file", "A file with the password for the database.", func(a *Auth) *string { return &a.SQL.PasswordFile }),
	authText("auth_sql_query", "The query for a user: its first column is the hash of the password, the others become attributes. %u, %c and %a stand for the user name, client id and address,"+
		" and are sent apart from the query: no quotes around them.", func(a *Auth) *string { return &a.SQL.Query }),
	authText("auth_sql_url", "Looks users up in a database: postgres://USER@HOST[:PORT]/DATABASE, mysql://USER@HOST[:PORT]/DATABASE (MariaDB too) or sqlite:PATH.", func(a *Auth) *string { return &a.SQL.URL }),
	authSeconds("auth_timeout", 1, 60, "5", "How long sql, redis, ldap or http may take for an answer; then the client is not let in.", func(a *Auth) *time.Duration { return &a.Timeout }),
}

// setAuthChain handles auth_chain.
func setAuthChain(a *Auth, v value) error {
	for name := range strings.FieldsSeq(v.text) {
		if !slices.Contains(AuthLinks, name) {
			return expected("%s, not %q", orList(AuthLinks), name)
		}
		if slices.Contains(a.Chain, name) {
			return expected("each name once, not %q again", name)
		}
		a.Chain = append(a.Chain, name)
	}
	return nil
}

// banSeconds makes a row for a time of Ban.
func banSeconds(name string, low int64, def, doc string, field func(*Ban) *time.Duration) Option {
	return Option{Name: name, Kind: Number, Min: low, Max: 86400, Unit: "seconds", Default: def, Doc: doc, set: func(t *target, v value) error {
		*field(&t.cfg.Ban) = time.Duration(v.number) * time.Second
		return nil
	}}
}
