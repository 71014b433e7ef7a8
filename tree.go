package unio

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/topic"
)

// subscriber is one subscription in the tree.
type subscriber struct {
	clientID string
	qos      byte
}

// branch is one level of filters.
type branch struct {
	children    map[string]*branch
	subscribers []subscriber
}

func (t *branch) child(name string) *branch {
	if t.children == nil {
		t.children = map[string]*branch{}
	}
	c := t.children[name]
	if c == nil {
		c = &branch{}
		t.children[name] = c
	}
	return c
}

// PrintSubscriptions writes the tree of all subscriptions in Mosquitto's form: one level
// of a filter a line, two blanks deeper than the one above it, behind it the clients that
// subscribed so far, with their QoS. Shared subscriptions stand behind the others. The
// order is that of the names; Mosquitto has none.
func (s *Server) PrintSubscriptions(w io.Writer) error {
	var plain, shared branch
	plain.child("").child("")
	plain.child("$SYS").child("$SYS")
	shared.child("").child("")
	if s.running.Load() {
		s.broker.WalkSubscriptions(func(clientID string, sub store.Subscription) bool {
			_, filter, isShared := topic.SplitShare(sub.Filter)
			root := plain.child("").child("")
			switch {
			case isShared:
				root = shared.child("").child("")
			case strings.HasPrefix(filter, "$SYS"):
				root = plain.child("$SYS")
			}
			for level := range strings.SplitSeq(filter, "/") {
				root = root.child(level)
			}
			root.subscribers = append(root.subscribers, subscriber{clientID, sub.Options & 3})
			return true
		})
	}
	out := bufio.NewWriter(w)
	plain.print(out, 0)
	shared.print(out, 0)
	return out.Flush()
}

// print writes the levels below t.
func (t *branch) print(out *bufio.Writer, level int) {
	names := make([]string, 0, len(t.children))
	for name := range t.children {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c := t.children[name]
		fmt.Fprintf(out, "%*s%s", (level+2)*2, "", mosqlog.Clean(name))
		slices.SortFunc(c.subscribers, func(a, b subscriber) int { return cmp.Compare(a.clientID, b.clientID) })
		for _, s := range c.subscribers {
			fmt.Fprintf(out, " (%s, %d)", mosqlog.Clean(s.clientID), s.qos)
		}
		_ = out.WriteByte('\n') // Flush returns the error
		c.print(out, level+1)
	}
}
