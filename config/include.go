package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// include handles include_dir: it reads the files of a folder whose names end in
// .conf. As in Mosquitto a listener does not reach from one file into another.
func (p *parser) include(dir string) error {
	if p.nested {
		return problem("is possible in the main file only")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		if pathErr, ok := errors.AsType[*os.PathError](err); ok {
			err = pathErr.Err
		}
		return expected("a folder to read, %s: %v", dir, err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".conf") && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, compareNames)

	file, line, option, cur, bridge := p.file, p.line, p.option, p.cur, p.bridge
	p.nested = true
	for _, name := range names {
		p.readFile(filepath.Join(dir, name))
	}
	p.nested = false
	p.file, p.line, p.option, p.cur, p.bridge = file, line, option, cur, bridge
	return nil
}

// compareNames orders names by letter and upper case before lower case of the same
// letter: 00 01 A a B b.
func compareNames(a, b string) int {
	if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
