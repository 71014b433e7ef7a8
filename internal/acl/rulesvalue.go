package acl

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// newCondition reads the values of a condition.
func newCondition(k *key, w word, negate bool, values [][]textPiece) (condition, error) {
	c := condition{key: k, negate: negate, text: w.raw}
	if k.kind == kindYesNo {
		switch text := joined(values[0]); {
		case len(values) > 1 || text != "yes" && text != "no":
			return c, fmt.Errorf("expected %s=yes or %s=no, not %s", k.name, k.name, w.raw)
		default:
			c.on = text == "yes"
		}
		return c, nil
	}
	for _, v := range values {
		if len(v) == 0 {
			return c, fmt.Errorf(`expected a value in %s; "" is an empty one`, w.raw)
		}
		if err := c.add(v); err != nil {
			return c, err
		}
	}
	return c, nil
}

// add adds one value.
func (c *condition) add(value []textPiece) error {
	text := joined(value)
	switch c.key.kind {
	case kindNumber:
		s, err := parseSpan(c.key, text)
		c.ranges = append(c.ranges, s)
		return err
	case kindAddress:
		p, err := parseNetwork(text)
		c.prefixes = append(c.prefixes, p)
		return err
	case kindHex:
		text = plainHex(text)
		if len(text) != 64 || strings.Trim(text, "0123456789abcdef") != "" {
			return fmt.Errorf("expected the 64 hexadecimal digits of a SHA-256, not %q", joined(value))
		}
		value = []textPiece{{text, true}}
	case kindVersion:
		if text == "5" {
			text = "5.0"
		}
		if text != "3.1" && text != "3.1.1" && text != "5.0" {
			return fmt.Errorf("expected version 3.1, 3.1.1 or 5, not %q", text)
		}
		value = []textPiece{{text, true}}
	default:
	}
	g, err := newGlob(value)
	if err != nil {
		return err
	}
	c.globs = append(c.globs, g)
	return nil
}

// parseSpan reads N, LOW..HIGH, LOW.. or ..HIGH.
func parseSpan(k *key, text string) (span, error) {
	s := span{k.low, k.high}
	low, high, isRange := strings.Cut(text, "..")
	number := func(text string, into *int) bool {
		if text == "" {
			return isRange
		}
		n, err := strconv.ParseUint(text, 10, 31)
		*into = int(n)
		return err == nil && int(n) >= k.low && int(n) <= k.high
	}
	ok := text != ".." && number(low, &s.low)
	if !isRange {
		s.high = s.low
	} else {
		ok = ok && number(high, &s.high)
	}
	if !ok || s.low > s.high {
		return s, fmt.Errorf("expected a number from %d to %d, or a range such as %d..%d, for %s, not %q", k.low, k.high, k.low, k.high, k.name, text)
	}
	return s, nil
}

// parseNetwork reads an IP address or a network.
func parseNetwork(text string) (netip.Prefix, error) {
	wrong := fmt.Errorf("expected an IP address or a network such as 10.0.0.0/8 or fd00::/8, not %q", text)
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, wrong
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return netip.Prefix{}, wrong
	case p.Masked() != p:
		return netip.Prefix{}, fmt.Errorf("expected the network %s, not the address %s in it", p.Masked(), text)
	}
	return p, nil
}
