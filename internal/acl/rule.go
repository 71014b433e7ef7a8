package acl

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/broker"
)

// A Rule grants or denies some actions to the clients that fulfil its conditions, on the topics that one of its filters
// matches. It does not change once it is in a Model.
type Rule struct {
	ID       uint32 // unique among the rules of a Model
	File     string
	Line     int    // from 1; 0: the file is not one of lines
	Role     string // that the rule is of, if rules are of roles
	Text     string // the rule as it is written
	Allow    bool
	Actions  Actions
	Priority int      // rules with a higher one decide first
	Topics   []Filter // none: any topic, and what has no topic

	// Those about the client come first; clients is how many they are. The others are about the single question.
	conditions []condition
	clients    int
	// plain says that the rule is not for clients with + or # in their user name or client id.
	plain bool
}

// String returns "FILE:LINE: TEXT", or "FILE:ROLE: TEXT".
func (r *Rule) String() string { return reference(r).String() }

// Actions is a set of actions.
type Actions uint8

// ActionsOf returns the set of some actions.
func ActionsOf(actions ...broker.Action) Actions {
	var s Actions
	for _, a := range actions {
		s |= 1 << a
	}
	return s
}

func (s Actions) has(a broker.Action) bool { return s>>a&1 != 0 }

// all are all actions; messages those that are about one, and filters those that are about a subscription.
var (
	all      = ActionsOf(broker.ActionPublish, broker.ActionReceive, broker.ActionSubscribe, broker.ActionUnsubscribe, broker.ActionWill, broker.ActionConnect)
	messages = ActionsOf(broker.ActionPublish, broker.ActionReceive, broker.ActionWill)
	filters  = ActionsOf(broker.ActionSubscribe, broker.ActionUnsubscribe)
)

// actionNames are the words for actions, in the order in which they are listed.
var actionNames = []struct {
	action broker.Action
	name   string
}{
	{broker.ActionConnect, "connect"},
	{broker.ActionPublish, "publish"},
	{broker.ActionWill, "will"},
	{broker.ActionReceive, "receive"},
	{broker.ActionSubscribe, "subscribe"},
	{broker.ActionUnsubscribe, "unsubscribe"},
}

// ActionName returns the word for an action.
func ActionName(a broker.Action) string {
	for _, n := range actionNames {
		if n.action == a {
			return n.name
		}
	}
	return fmt.Sprintf("action %d", a)
}

// ParseAction returns the action of a word.
func ParseAction(name string) (a broker.Action, ok bool) {
	for _, n := range actionNames {
		if n.name == name {
			return n.action, true
		}
	}
	return 0, false
}

// String lists the set's actions.
func (s Actions) String() string {
	var names []string
	for _, n := range actionNames {
		if s.has(n.action) {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ", ")
}
