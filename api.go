package unio

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/admin"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/control"
	"github.com/uniomq/unio/internal/mosqlog"
)

// newAPI returns the HTTP API of a listener, without endpoints; nil for a listener that has none.
func (s *Server) newAPI(l config.Listener, d *door) (*admin.Server, error) {
	if l.Protocol != config.HTTPAPI {
		return nil, nil
	}
	return admin.New(admin.Options{
		Listener: name(l), Identify: d.identify, Authenticator: s.who.auth, Authorizer: s.acl, Vouched: auth.Vouched,
		Denied:  func(a broker.Access) { s.observer.Events(false).Denied(a) },
		HTTPDir: l.HTTPDir, MaxConnections: max(l.MaxConnections, 0), Timeout: s.inForce.Load().ConnectTimeout, Log: s.log,
	})
}

// mountAPIs gives all HTTP APIs their endpoints.
func (s *Server) mountAPIs() {
	explain := admin.Explain(func(query url.Values) (any, error) {
		q, err := ParseQuestion(query)
		if err != nil {
			return nil, err
		}
		return s.Explain(q)
	})
	endpoints := []admin.Endpoint{
		admin.Version(versionNumber(s.Version)), admin.Listeners(s.listing), admin.SysTree(s.sys.Values), explain,
	}
	endpoints = append(endpoints, admin.BanEndpoints(bansOf{s})...)
	mounted := map[*admin.Server]bool{}
	for _, l := range s.listeners {
		if l.api != nil && !mounted[l.api] {
			mounted[l.api] = true
			l.api.Mount(endpoints...)
		}
	}
}

// closeAPIs ends all HTTP APIs.
func (s *Server) closeAPIs() {
	for _, l := range s.listeners {
		if l.api != nil {
			l.api.Close()
		}
	}
}

// listing returns the listeners that are open, with what holds for them now. One that the configuration in force does not have any more lets
// nobody in.
func (s *Server) listing() []config.Listener {
	cfg := s.inForce.Load()
	all := make([]config.Listener, 0, len(s.opened))
	for _, l := range s.opened {
		l.AllowAnonymous = false
		if i := indexOf(cfg.Listeners, l); i >= 0 {
			l.AllowAnonymous = cfg.Listeners[i].AllowAnonymous
			l.TLS.RequireCertificate = cfg.Listeners[i].TLS.RequireCertificate
		}
		all = append(all, l)
	}
	return all
}

// enableControl opens or closes the endpoint that tells clients of the broker.
func (s *Server) enableControl(on bool) {
	if !on {
		s.control.Handle(control.BrokerTopic, nil)
		return
	}
	s.control.Handle(control.BrokerTopic, control.BrokerAPI{
		Listeners: s.listing, Plugins: s.plugins,
		Asked: func(c *broker.Client, command string) {
			s.log.Log(context.Background(), mosqlog.LevelInformation, fmt.Sprintf("Broker: %s/%s | %s", c.ID, cmp.Or(c.Username, "(null)"), command))
		},
	}.Handler())
}

// bansOf are the bans of a server in the words of its API.
type bansOf struct{ *Server }

func (b bansOf) Bans() (all []admin.Ban) {
	for _, ban := range b.Server.Bans() {
		all = append(all, admin.Ban{Address: ban.Address, User: ban.User, Since: ban.Since, Until: ban.Until, Attempts: ban.Attempts})
	}
	return all
}

// versionNumber is a version as the HTTP API tells it, which begins with a number for scripts that
// read it; that of a build without one is 0.0.0.
func versionNumber(version string) string {
	number := strings.TrimPrefix(version, "v")
	if number != "" && '0' <= number[0] && number[0] <= '9' {
		return number
	}
	return "0.0.0-" + cmp.Or(strings.Trim(version, "()"), "unknown")
}
