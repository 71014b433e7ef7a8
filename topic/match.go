package topic

import "strings"

// Match reports whether filter matches name. The filter has no "$share/group/"
// before it: see SplitShare.
//
// Match compares one filter with one name; to find the matches of a name among
// many filters use an Index, and those of a filter among many names use Names.
// [MQTT-4.7.3-4]
func Match(filter, name string) bool {
	if hides(filter, name) {
		return false
	}
	for {
		if filter == "#" {
			return true
		}
		level, restFilter, moreFilter := strings.Cut(filter, "/")
		nameLevel, restName, moreName := strings.Cut(name, "/")
		if level != "+" && level != nameLevel {
			return false
		}
		switch {
		case !moreFilter:
			return !moreName
		case !moreName: // "a/#" matches "a", the parent, too [MQTT 5.0, 4.7.1.2].
			return restFilter == "#"
		}
		filter, name = restFilter, restName
	}
}

// hides reports whether filter must not match name, whatever their levels are.
// [MQTT-4.7.2-1] A filter that starts with a wildcard does not match names that
// start with $.
func hides(filter, name string) bool {
	return filter != "" && (filter[0] == '+' || filter[0] == '#') && name != "" && name[0] == '$'
}

// hasWildcard reports whether a valid filter has wildcards.
func hasWildcard(filter string) bool {
	return strings.IndexByte(filter, '+') >= 0 || strings.IndexByte(filter, '#') >= 0
}
