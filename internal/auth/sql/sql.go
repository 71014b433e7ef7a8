package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// Name is the backend's name in auth_chain.
const Name = "sql"

// Options say which database has the users.
type Options struct {
	URL      string // see open; without a password
	Password string
	// Query returns the hash of a user's password and attributes of the user; no row says that the user is unknown. It may have
	// %u, %c and %a. GroupQuery returns a group in each row; empty: none.
	Query, GroupQuery string
	Connections       int // at most; 0: defaultConnections
	// Gate is where hashes are computed.
	Gate *auth.Gate
}

// Backend looks users up in a database.
type Backend struct {
	db            *sql.DB
	gate          *auth.Gate
	users, groups *statement // groups: nil for none
	decoy         auth.Decoy
}

var (
	_ auth.Backend   = (*Backend)(nil)
	_ auth.Rechecker = (*Backend)(nil)
)

// New returns a backend. It does not reach for the database.
func New(o Options) (*Backend, error) {
	db, numbered, err := open(o.URL, o.Password)
	if err != nil {
		return nil, err
	}
	n := o.Connections
	if n <= 0 {
		n = defaultConnections
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxLifetime(maxLifetime)
	db.SetConnMaxIdleTime(maxIdle)
	b := &Backend{db: db, gate: o.Gate}
	if b.users, err = b.statement(o.Query, numbered); err == nil && o.GroupQuery != "" {
		b.groups, err = b.statement(o.GroupQuery, numbered)
	}
	if err == nil && !strings.ContainsAny(b.users.letters, "uc") {
		err = errors.New("expected a query with %u, or with %c: without one it finds the same for all")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

// Close closes the connections.
func (b *Backend) Close() error { return b.db.Close() }

// Name returns Name.
func (*Backend) Name() string { return Name }

// Check looks the user up and checks the password.
func (b *Backend) Check(ctx context.Context, r *auth.Request) (auth.Answer, error) {
	if !r.Client.HasUsername && strings.Contains(b.users.letters, "u") {
		return auth.Unknown("no user name"), nil
	}
	text, attributes, err := b.user(ctx, r.Client)
	if errors.Is(err, sql.ErrNoRows) {
		return b.decoy.Unknown(ctx, b.gate, r)
	}
	if err != nil {
		return auth.Answer{}, err
	}
	if text == "" {
		return auth.Denied("the user has no password"), nil
	}
	answer, err := b.decoy.Check(ctx, b.gate, r, text)
	if err != nil || answer.Verdict != auth.Allow {
		return answer, err
	}
	if b.groups != nil {
		groups, err := b.groupsOf(ctx, r.Client)
		if err != nil {
			return auth.Answer{}, err
		}
		if len(groups) > 0 {
			attributes["groups"] = groups
		}
	}
	answer.Attributes = attributes
	return answer, nil
}

// Recheck reports whether the user is there, with the hash that the password matched.
func (b *Backend) Recheck(ctx context.Context, c *broker.Client, proof any) (bool, error) {
	text, _, err := b.user(ctx, c)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil && proof == text, err
}

// user returns the hash and the attributes of a user, or sql.ErrNoRows.
func (b *Backend) user(ctx context.Context, c *broker.Client) (hash string, attributes map[string][]string, err error) {
	rows, err := b.users.run(ctx, c)
	if err != nil {
		return "", nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", nil, err
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return "", nil, err
		}
		return "", nil, sql.ErrNoRows
	}
	values, to := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		to[i] = &values[i]
	}
	if err := rows.Scan(to...); err != nil {
		return "", nil, err
	}
	if rows.Next() {
		return "", nil, fmt.Errorf("expected one row for user %q, not several", c.Username)
	}
	attributes = map[string][]string{}
	for i, v := range values[1:] {
		if list := auth.SplitList(v.String); len(list) > 0 {
			attributes[columns[i+1]] = list
		}
	}
	return values[0].String, attributes, rows.Err()
}

// maxGroups bounds the groups of a user.
const maxGroups = 10_000

func (b *Backend) groupsOf(ctx context.Context, c *broker.Client) ([]string, error) {
	rows, err := b.groups.run(ctx, c)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var groups []string
	for rows.Next() {
		var group sql.NullString
		if err := rows.Scan(&group); err != nil {
			return nil, err
		}
		if groups = append(groups, group.String); len(groups) > maxGroups {
			return nil, fmt.Errorf("expected at most %d groups for user %q", maxGroups, c.Username)
		}
	}
	return groups, rows.Err()
}

// statement is a query that is prepared when it is first run.
type statement struct {
	query
	db *sql.DB

	mu       sync.Mutex // guards prepared; held while it is prepared
	prepared *sql.Stmt
}

func (b *Backend) statement(text string, numbered bool) (*statement, error) {
	q, err := parseQuery(text, numbered)
	return &statement{query: q, db: b.db}, err
}

func (s *statement) run(ctx context.Context, c *broker.Client) (*sql.Rows, error) {
	stmt, err := s.prepare(ctx)
	if err != nil {
		return nil, err
	}
	args := make([]any, len(s.letters))
	for i := range args {
		args[i] = auth.ValueOf(s.letters[i], c, nil)
	}
	return stmt.QueryContext(ctx, args...)
}

func (s *statement) prepare(ctx context.Context) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prepared != nil {
		return s.prepared, nil
	}
	stmt, err := s.db.PrepareContext(ctx, s.text)
	if err == nil {
		s.prepared = stmt // it is prepared again on other connections by itself
	}
	return stmt, err
}
