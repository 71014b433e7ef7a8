package certs

import (
	"os"
	"path/filepath"
	"strings"
)

// paths are the places in the file system where a change may mean new content.
type paths struct {
	entries map[string]bool // files, links on the way to them, and the folders that they are in
	whole   map[string]bool // folders of which every file counts
}

// maxLinks is how many symbolic links are followed on the way to one file.
const maxLinks = 40

func pathsOf(files, folders []string) paths {
	p := paths{entries: map[string]bool{}, whole: map[string]bool{}}
	for _, f := range files {
		p.add(f)
	}
	for _, f := range folders {
		if last := p.add(f); last != "" {
			p.whole[last] = true
		}
	}
	return p
}

// add walks to a file by hand, because every link on the way may be replaced: Kubernetes swaps ..data, which the names of the files lead
// through, and certbot's names are links into an archive. It returns the file without links.
func (p *paths) add(file string) string {
	file, err := filepath.Abs(file)
	if err != nil {
		return ""
	}
	volume := filepath.VolumeName(file) + string(filepath.Separator)
	at, rest := volume, split(file)
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		target, err := os.Readlink(next)
		if err != nil {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return ""
		}
		p.entries[next] = true
		if filepath.IsAbs(target) {
			at = volume
		}
		rest = append(split(target), rest...)
	}
	p.entries[at] = true
	if folder := filepath.Dir(at); folder != volume {
		p.entries[folder] = true // it may be moved away, and another put in its place
	}
	return at
}

// split returns the elements of a path.
func split(path string) []string {
	path = path[len(filepath.VolumeName(path)):]
	return strings.FieldsFunc(path, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) })
}

// watched are the folders whose events are wanted.
func (p *paths) watched() map[string]bool {
	out := map[string]bool{}
	for e := range p.entries {
		out[filepath.Dir(e)] = true
	}
	for f := range p.whole {
		out[f] = true
	}
	return out
}

// concern reports whether an event at a path may matter.
func (p *paths) concern(path string) bool { return p.entries[path] || p.whole[filepath.Dir(path)] }
