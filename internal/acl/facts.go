package acl

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/uniomq/unio/broker"
)

// facts are what rules look at in a client. They are worked out once for each client, and do not change.
type facts struct {
	client  *broker.Client
	wild    bool       // + or # in the user name or client id
	addr    netip.Addr // invalid: none, as of a Unix socket
	address string     // addr, written
	port    int        // of ours; 0: none
	groups  []string   // those of the rules and those that the authentication gave
}

// newFacts returns a client's; the groups are those that the rules define.
func newFacts(c *broker.Client, groups []Group) *facts {
	f := &facts{client: c, wild: hasWildcard(c.Username) || hasWildcard(c.ID)}
	f.addr, _ = addrPort(c.RemoteAddr)
	if f.addr.IsValid() {
		f.address = f.addr.String()
	}
	_, f.port = addrPort(c.LocalAddr)
	f.groups = c.Attributes[broker.AttributeGroup]
	if len(groups) > 0 {
		f.groups = slices.Clone(f.groups)
		for i := range groups {
			if g := &groups[i]; !slices.Contains(f.groups, g.Name) && g.has(f) {
				f.groups = append(f.groups, g.Name)
			}
		}
	}
	return f
}

// addrPort returns the IP address and port of an address, without zone, and an IPv4 address as such.
func addrPort(a net.Addr) (netip.Addr, int) {
	switch a := a.(type) {
	case *net.TCPAddr:
		p := a.AddrPort()
		return p.Addr().Unmap().WithZone(""), int(p.Port())
	case nil:
		return netip.Addr{}, 0
	}
	if p, err := netip.ParseAddrPort(a.String()); err == nil {
		return p.Addr().Unmap().WithZone(""), int(p.Port())
	}
	return netip.Addr{}, 0
}

func hasWildcard(s string) bool {
	return strings.IndexByte(s, '+') >= 0 || strings.IndexByte(s, '#') >= 0
}

// A Group has the clients that fulfil all conditions of one of its lines.
type Group struct {
	Name string
	// lines are alternatives, each with conditions about the client.
	lines [][]condition
}

func (g *Group) has(f *facts) bool {
	return slices.ContainsFunc(g.lines, func(line []condition) bool {
		for i := range line {
			if line[i].test(f, nil) != yes {
				return false
			}
		}
		return true
	})
}
