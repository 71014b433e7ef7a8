package topic

import "strings"

const sharePrefix = "$share/"

// SplitShare takes a shared subscription, "$share/group/rest", apart. Any other
// filter it returns as rest, with shared false. So it does with a malformed
// shared subscription, in which the group or the rest is empty.
func SplitShare(filter string) (group, rest string, shared bool) {
	after, ok := strings.CutPrefix(filter, sharePrefix)
	if !ok {
		return "", filter, false
	}
	group, rest, ok = strings.Cut(after, "/")
	if !ok || group == "" || rest == "" {
		return "", filter, false
	}
	return group, rest, true
}
