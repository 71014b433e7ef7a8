package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"runtime/debug"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/httpfiles"
	"github.com/uniomq/unio/topic"
)

// ClientID is the client id of all clients of the HTTP API, as in Mosquitto.
const ClientID = "http-api"

// apiPrefix is what the paths of endpoints begin with. In any case of letters they are never those of files, as in Mosquitto.
const apiPrefix = "/api/"

// The answers that say no, in Mosquitto's words.
const (
	notFoundText  = "Not found.\n"
	notAuthorized = "Not authorised\n"
	invalidMethod = "Invalid HTTP Method\n"
)

// serve answers a request, unless something speaks against it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	defer s.contain(r)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	api := inAPI(r.URL.Path)
	if api {
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxBodyBytes)
	_, pattern := s.mux.Handler(r)
	switch {
	case pattern == "" && r.Method != http.MethodGet && r.Method != http.MethodHead: // before anybody is asked, as in Mosquitto
		h.Set("Allow", s.allow(r))
		refuse(w, http.StatusMethodNotAllowed, invalidMethod)
	case !proper(r, api):
		refuse(w, http.StatusNotFound, notFoundText)
	case s.csrf.Check(r) != nil:
		refuse(w, http.StatusForbidden, "Requests for another site are refused.\n")
	case !s.may(r, pattern):
		h.Set("WWW-Authenticate", `Basic realm="Unio API", charset="UTF-8"`)
		refuse(w, http.StatusUnauthorized, notAuthorized)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// contain tells of a panic, which ends its connection alone.
func (s *Server) contain(r *http.Request) {
	if v := recover(); v != nil {
		if v != http.ErrAbortHandler { //nolint:errorlint // net/http's own sign, not wrapped
			s.o.Log.Error(fmt.Sprintf("panic while answering %s %q: %v\n%s", r.Method, r.URL.Path, v, debug.Stack()))
		}
		panic(http.ErrAbortHandler)
	}
}

// refuse answers who was not let in, or not asked yet, and closes the connection: who may nothing
// keeps none of the few.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Connection", "close")
	answer(w, status, text)
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may be gone
}

func inAPI(urlPath string) bool {
	return len(urlPath) >= len(apiPrefix) && strings.EqualFold(urlPath[:len(apiPrefix)], apiPrefix)
}

// proper reports whether the path of a request is the only spelling of what it names, and can be a topic.
func proper(r *http.Request, api bool) bool {
	p := r.URL.Path
	if api && r.URL.EscapedPath() != p {
		return false
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean == p && topic.ValidName(p) == nil
}

// allow returns the methods that a path has.
func (s *Server) allow(r *http.Request) string {
	methods := []string{http.MethodGet, http.MethodHead}
	for _, m := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := *r
		other.Method = m
		if _, pattern := s.mux.Handler(&other); pattern != "" {
			methods = append(methods, m)
		}
	}
	return strings.Join(methods, ", ")
}

// may asks who the client is and whether it may do that.
func (s *Server) may(r *http.Request, pattern string) bool {
	c, err := s.client(r)
	if err != nil {
		return false
	}
	if e, ok := s.endpoints[pattern]; ok && !e.Public && (s.o.Vouched == nil || !s.o.Vouched(c)) {
		return false
	}
	a := broker.Access{Client: c, Action: broker.ActionReceive, Topic: []byte(r.URL.Path), Spelled: Spelled(r.URL.Path)}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		a.Action = broker.ActionPublish
	}
	if !s.allowed(broker.Access{Client: c, Action: broker.ActionConnect}) || !s.allowed(a) {
		return false
	}
	other := otherName(r.URL.Path)
	if a.Spelled > 0 || other == "" {
		return true
	}
	a.Topic, a.Alias = []byte(other), true
	return s.allowed(a)
}

// otherName is the other path of the file that is served for a folder; of others there is none.
func otherName(urlPath string) string {
	if strings.HasSuffix(urlPath, "/") {
		return urlPath + httpfiles.Index
	}
	if folder, ok := strings.CutSuffix(urlPath, "/"+httpfiles.Index); ok {
		return folder + "/"
	}
	return ""
}

// Spelled is the number of levels of a path that a rule has to spell out to open it
// (broker.Access.Spelled): those of apiPrefix for what is below it. Who allows all topics has not
// thought of the API.
func Spelled(urlPath string) uint8 {
	if inAPI(urlPath) {
		return uint8(strings.Count(apiPrefix, "/"))
	}
	return 0
}

func (s *Server) allowed(a broker.Access) bool {
	if s.o.Authorizer == nil || s.o.Authorizer.Authorize(a) {
		return true
	}
	if s.o.Denied != nil {
		s.o.Denied(a)
	}
	return false
}

var errNotLetIn = errors.New("not authorised")

// client returns who sends a request.
func (s *Server) client(r *http.Request) (*broker.Client, error) {
	nc := r.Context().Value(connKey{}).(*conn)
	c := &broker.Client{ID: ClientID, Listener: s.o.Listener, RemoteAddr: nc.RemoteAddr(), LocalAddr: nc.LocalAddr()}
	var password []byte
	if header := r.Header["Authorization"]; len(header) > 1 {
		return nil, errNotLetIn
	}
	if name, secret, ok := r.BasicAuth(); ok {
		c.Username, c.HasUsername, password = name, true, []byte(secret)
	}
	if s.o.Identify != nil {
		t, err := s.o.Identify(nc.Conn)
		if err != nil {
			return nil, err
		}
		if c.Transport = t; t != nil && t.Username != "" {
			c.Username, c.HasUsername = t.Username, true
		}
	}
	if len(r.Header["X-Forwarded-For"]) > 0 { // the address is a proxy's
		if c.Transport == nil {
			c.Transport = &broker.Transport{}
		}
		c.Transport.Forwarded = true
	}
	if s.o.Authenticator == nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.o.Timeout)
	defer cancel()
	err := s.o.Authenticator.Authenticate(ctx, c, password)
	if err != nil && c.HasUsername { // without a name it is just the request by which a client finds out that it needs one
		s.o.Log.Info(fmt.Sprintf("HTTP client %v as %q is not authorised: %v", c.RemoteAddr, c.Username, err))
	}
	return c, err
}

// file serves what is no endpoint.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	if s.o.HTTPDir == "" || inAPI(r.URL.Path) {
		answer(w, http.StatusNotFound, notFoundText)
		return
	}
	w.Header().Set("Content-Security-Policy", "frame-ancestors 'self'")
	httpfiles.Dir{Path: s.o.HTTPDir, Patience: 2 * s.o.Timeout}.ServeHTTP(w, r)
}
