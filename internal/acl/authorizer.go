package acl

import (
	"sync/atomic"

	"github.com/uniomq/unio/broker"
)

// Options configure an Authorizer.
type Options struct {
	Rules     *Rules            // of listeners that are not in Listeners; nil: no ACL file, all is allowed
	Listeners map[string]*Rules // by broker.ListenerOptions.Name, for per_listener_settings; nil as above
}

// An Authorizer decides by the rules of the client's listener. That only the broker
// publishes below $SYS is not among them: the broker sees to that before it asks. Set may
// be called at any time.
type Authorizer struct {
	options atomic.Pointer[Options]
}

var _ broker.Authorizer = (*Authorizer)(nil)

// New returns an Authorizer with these options.
func New(o Options) *Authorizer {
	a := &Authorizer{}
	a.Set(o)
	return a
}

// Set replaces the options as a whole. They hold from the next message on, for clients
// that are connected and for messages that wait for their delivery, too.
func (a *Authorizer) Set(o Options) { a.options.Store(&o) }

func (a *Authorizer) rules(listener string) *Rules {
	o := a.options.Load()
	if len(o.Listeners) > 0 {
		if r, ok := o.Listeners[listener]; ok {
			return r
		}
	}
	return o.Rules
}

// Authorize reports whether the client may do that.
func (a *Authorizer) Authorize(q broker.Access) bool {
	r := a.rules(q.Client.Listener)
	return r == nil || r.Authorize(q)
}

// Explain decides as Authorize does and says which rule did, or why there is none.
func (a *Authorizer) Explain(q broker.Access) (allow bool, rule Rule) {
	r := a.rules(q.Client.Listener)
	if r == nil {
		return true, reason("there is no ACL file")
	}
	return r.Explain(q)
}
