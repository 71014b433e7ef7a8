package auth

import (
	"io"
	"sync"
)

// generation are the options between two calls of Set.
type generation struct {
	Options
	users sync.WaitGroup // who asks; added to while the generation is the current one
}

// newGeneration returns options in which each listener has its chain.
func newGeneration(o Options, gate *Gate) *generation {
	g := &generation{Options: o}
	g.complete(gate)
	g.Listeners = make(map[string]Listener, len(o.Listeners))
	for name, l := range o.Listeners {
		l.complete(gate)
		g.Listeners[name] = l
	}
	return g
}

func (l *Listener) complete(gate *Gate) {
	if l.Chain != nil {
		return
	}
	l.Chain = []Backend{Transport()}
	if l.Passwords != nil {
		l.Chain = append(l.Chain, PasswordFile(l.Passwords, gate))
	}
}

func (g *generation) listener(name string) *Listener {
	if l, ok := g.Listeners[name]; ok {
		return &l
	}
	return &g.Listener
}

// retire waits until nobody uses the generation any more, and closes the backends that next does not have.
func (g *generation) retire(next *generation) {
	g.users.Wait()
	kept := map[Backend]bool{}
	if next != nil {
		next.each(func(b Backend) { kept[b] = true })
	}
	g.each(func(b Backend) {
		if c, ok := b.(io.Closer); ok && !kept[b] {
			kept[b] = true // once
			_ = c.Close()  // nothing is lost with a connection to a database that was asked
		}
	})
}

// each calls fn for the backends of all listeners, and for what they wrap.
func (g *generation) each(fn func(Backend)) {
	visit := func(l Listener) {
		for _, b := range l.Chain {
			for b != nil {
				fn(b)
				w, ok := b.(interface{ Unwrap() Backend })
				if !ok {
					break
				}
				b = w.Unwrap()
			}
		}
	}
	visit(g.Listener)
	for _, l := range g.Listeners {
		visit(l)
	}
}
