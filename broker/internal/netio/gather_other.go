//go:build !linux

package netio

// gather is what one write writes.
type gather struct{ p []byte }

func (g *gather) reset() { g.p = nil }

// add reports whether there was room for p.
func (g *gather) add(p []byte) bool {
	if g.p != nil {
		return false
	}
	g.p = p
	return true
}

func (g *gather) write(fd uintptr) (int, error) { return Write(fd, g.p) }
