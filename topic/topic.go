// Package topic knows topic names and topic filters: what is valid, what matches
// what, and an index that finds the subscriptions of a name among millions.
//
// [ValidName] and [ValidFilter] check what a client sent; every other function
// expects input that passed them. On other input the answer is undefined, but
// nothing panics, loops or allocates beyond the input's size.
//
// [Match] is the definition of matching, one filter against one name. [Index]
// answers the question of a PUBLISH, "which subscriptions does this name have?",
// and [Names] the question of a SUBSCRIBE, "which retained messages does this
// filter have?". Both may be used by any number of goroutines at once.
//
// The package knows no sessions, no QoS and no access rules: a subscription is a
// key of the caller's choice with two numbers that the index does not read. It
// starts no goroutine. Nothing in it recurses, so that a name of 65,535 levels
// costs no more than its length.
package topic

import (
	"bytes"
	"strings"
)

// MaxLevels is the number of levels that a broker accepts in a name or a filter
// unless it is configured otherwise. The specification has no such limit, so
// ValidName and ValidFilter do not apply it: compare it with Levels.
const MaxLevels = 200

// Levels returns the number of levels of a name or filter: one more than it has
// slashes [MQTT 5.0, 4.7.1.1].
func Levels[S string | []byte](s S) int {
	switch s := any(s).(type) {
	case string:
		return strings.Count(s, "/") + 1
	case []byte:
		return bytes.Count(s, slash) + 1
	}
	return 1
}

var slash = []byte{'/'}
