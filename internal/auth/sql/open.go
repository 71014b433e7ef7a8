package sql

import (
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Connections are given up after these times, so that a database that moved is found, and idle ones do not stay.
const (
	maxLifetime = 30 * time.Minute
	maxIdle     = 5 * time.Minute
)

// defaultConnections is how many there are at most.
const defaultConnections = 4

var errURL = errors.New("expected postgres://USER@HOST[:PORT]/DATABASE, mysql://USER@HOST[:PORT]/DATABASE or sqlite:PATH")

// open returns a database that is not connected to yet, and whether it numbers its parameters.
func open(text, password string) (db *sql.DB, numbered bool, err error) {
	if path, ok := strings.CutPrefix(text, "sqlite:"); ok {
		db, err = openSQLite(strings.TrimPrefix(path, "//"))
		return db, false, err
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return nil, false, errURL
	}
	if _, given := u.User.Password(); given {
		return nil, false, errors.New("expected no password in auth_sql_url: its place is a file of its own, auth_sql_password_file")
	}
	switch u.Scheme {
	case "postgres", "postgresql":
		cfg, err := pgx.ParseConfig(text)
		if err != nil {
			return nil, false, fmt.Errorf("expected a URL for PostgreSQL: %w", err)
		}
		if password != "" {
			cfg.Password = password
		}
		return stdlib.OpenDB(*cfg), true, nil
	case "mysql", "mariadb":
		db, err = openMySQL(u, password)
		return db, false, err
	}
	return nil, false, errURL
}

func openMySQL(u *url.URL, password string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = u.User.Username(), password, strings.TrimPrefix(u.Path, "/")
	cfg.Net, cfg.Addr = "tcp", u.Host
	cfg.Logger = mysql.Logger(quiet{})
	if u.Port() == "" {
		cfg.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	for name, values := range u.Query() {
		switch name {
		case "socket":
			cfg.Net, cfg.Addr = "unix", values[0]
		case "tls":
			switch values[0] {
			case "true":
				cfg.TLS = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
			case "false":
			default:
				return nil, errors.New("expected tls=true or tls=false in auth_sql_url")
			}
		default:
			return nil, fmt.Errorf("expected tls or socket in auth_sql_url, not %q", name)
		}
	}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, errURL
	}
	return sql.OpenDB(c), nil
}

// quiet drops what the driver of MySQL logs: its errors are returned, too.
type quiet struct{}

func (quiet) Print(...any) {}

// openSQLite opens a file that must exist, to read it.
func openSQLite(path string) (*sql.DB, error) {
	if path == "" {
		return nil, errURL
	}
	name := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String()
	return sql.Open("sqlite", name+"?mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)")
}
