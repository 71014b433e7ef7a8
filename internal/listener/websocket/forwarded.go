package websocket

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardedHeader is where a proxy says for whom it asks.
const forwardedHeader = "X-Forwarded-For"

// forwardedFor returns the client's address by X-Forwarded-For, with the port of peer if it names
// none; nil: the header says nothing, or peer is not believed.
//
// Each proxy appends for whom it asks, so the entries are read from the last one on. Those of
// proxies go on to the one before; the first other one is the client, or, if all are proxies, the
// first entry. What stands before it the client may have written, and nobody looks there. An entry
// that is no address is refused: with the proxy's own address a client could pass as the proxy.
func (l *Listener) forwardedFor(values []string, peer net.Addr) (net.Addr, *refusal) {
	if len(values) == 0 {
		return nil, nil
	}
	tcp, hasIP := peer.(*net.TCPAddr)
	if len(l.o.Proxies) == 0 || hasIP && !l.isProxy(tcp.AddrPort().Addr()) {
		if l.o.Disbelieved != nil {
			l.doubt.Do(func() { l.o.Disbelieved(peer) })
		}
		return nil, nil
	}
	var client netip.AddrPort
	for _, entry := range slices.Backward(strings.Split(strings.Join(values, ","), ",")) {
		if entry = strings.Trim(entry, " \t"); entry == "" { // means nothing (RFC 9110, 5.6.1)
			continue
		}
		var err error
		if client, err = parseAddress(entry); err != nil {
			return nil, &refusal{http.StatusBadRequest, fmt.Sprintf("the entry %.100q of %s is no IP address", entry, forwardedHeader)}
		}
		if !l.isProxy(client.Addr()) {
			break
		}
	}
	if !client.IsValid() {
		return nil, nil
	}
	if hasIP && client.Port() == 0 {
		client = netip.AddrPortFrom(client.Addr(), uint16(tcp.Port))
	}
	return net.TCPAddrFromAddrPort(client), nil
}

func (l *Listener) isProxy(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(l.o.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

var errNoAddress = errors.New("no IP address")

// parseAddress reads an address with or without port, IPv6 with or without brackets. A zone means
// something on the machine that wrote it alone, and may be any text: with one it is no address.
func parseAddress(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		var addr netip.Addr
		addr, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
		ap = netip.AddrPortFrom(addr, 0)
	}
	if err != nil || ap.Addr().Zone() != "" {
		return netip.AddrPort{}, errNoAddress
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}
