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
	"github.com/uniomq/unio/internal/control"
	"github.com/uniomq/unio/internal/mosqlog"
)

// endpoints returns what the HTTP APIs answer.
func (s *Server) endpoints() []admin.Endpoint {
	explain := admin.Explain(func(query url.Values) (any, error) {
		q, err := ParseQuestion(query)
		if err != nil {
			return nil, err
		}
		return s.Explain(q)
	})
	endpoints := []admin.Endpoint{
		admin.Version(versionNumber(s.Version)), admin.Listeners(s.listening.Listeners), admin.SysTree(s.sys.Values), explain,
	}
	return append(endpoints, admin.BanEndpoints(bansOf{s})...)
}

// enableControl opens or closes the endpoint that tells clients of the broker.
func (s *Server) enableControl(cfg *config.Config) {
	if !cfg.EnableControlAPI {
		s.control.Handle(control.BrokerTopic, nil)
		return
	}
	s.control.Handle(control.BrokerTopic, control.BrokerAPI{
		Listeners: s.listening.Listeners, Plugins: s.plugins,
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
