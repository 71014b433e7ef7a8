// Package sql is the auth.Backend that looks users up in a database: PostgreSQL, MySQL and MariaDB, or SQLite.
//
// A query of the operator returns the hash of a user's password, which is checked here, and what else is to be known of the
// user. User name, client id and address are sent as parameters, never as a part of the query.
//
// It writes nothing, makes no tables, and opens a connection when the first client comes: a database that is down does
// not keep the broker from starting. Goroutines are those of database/sql and the drivers; Close ends them.
//
//	b, err := sql.New(sql.Options{URL: "sqlite:/var/lib/unio/users.db", Query: "SELECT hash, groups FROM users WHERE name = %u", Gate: gate})
package sql
