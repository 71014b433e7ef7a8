package dynsec

import (
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/acl"
)

// aclType is what an ACL is about.
type aclType uint8

// The types, in the order of files.
const (
	publishClientSend aclType = iota
	publishClientReceive
	subscribeLiteral
	subscribePattern
	unsubscribeLiteral
	unsubscribePattern
	numTypes
)

// types says what each type is called and means.
var types = [numTypes]struct {
	name    string
	actions acl.Actions
	match   acl.Match
}{
	publishClientSend:    {"publishClientSend", acl.ActionsOf(broker.ActionPublish, broker.ActionWill), acl.Covers},
	publishClientReceive: {"publishClientReceive", acl.ActionsOf(broker.ActionReceive), acl.Covers},
	subscribeLiteral:     {"subscribeLiteral", acl.ActionsOf(broker.ActionSubscribe), acl.Same},
	subscribePattern:     {"subscribePattern", acl.ActionsOf(broker.ActionSubscribe), acl.Covers},
	unsubscribeLiteral:   {"unsubscribeLiteral", acl.ActionsOf(broker.ActionUnsubscribe), acl.Same},
	unsubscribePattern:   {"unsubscribePattern", acl.ActionsOf(broker.ActionUnsubscribe), acl.Covers},
}

// parseType returns the type of a word, which Mosquitto reads without regard to case.
func parseType(word string) (aclType, bool) {
	for t := range types {
		if strings.EqualFold(types[t].name, word) {
			return aclType(t), true
		}
	}
	return 0, false
}

// access is what the default access is given for.
type access uint8

// The kinds of access, in the order of answers.
const (
	defaultSend access = iota
	defaultReceive
	defaultSubscribe
	defaultUnsubscribe
	numDefaults
)

// accesses says what each kind is called and means.
var accesses = [numDefaults]struct {
	name    string
	actions acl.Actions
}{
	defaultSend:        {"publishClientSend", types[publishClientSend].actions},
	defaultReceive:     {"publishClientReceive", types[publishClientReceive].actions},
	defaultSubscribe:   {"subscribe", types[subscribePattern].actions},
	defaultUnsubscribe: {"unsubscribe", types[unsubscribePattern].actions},
}

// accessOf returns the kind that an action is of.
func accessOf(a broker.Action) (access, bool) {
	for i := range accesses {
		if accesses[i].actions&acl.ActionsOf(a) != 0 {
			return access(i), true
		}
	}
	return 0, false
}
