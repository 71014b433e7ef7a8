package mqttscript

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Extension is the ending of the names of script files.
const Extension = ".mqtt"

// Load parses all scripts in the folders of fsys, with those in folders below, in
// the order of their names. A name may also be that of one script file. Mistakes
// in several files are reported together.
func Load(fsys fs.FS, names ...string) ([]*Script, error) {
	var files []string
	for _, name := range names {
		found := len(files)
		err := fs.WalkDir(fsys, name, func(file string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (file == name || path.Ext(file) == Extension) {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("load scripts: %w", err)
		}
		if len(files) == found {
			return nil, fmt.Errorf("load scripts: %s has none (*%s)", name, Extension)
		}
	}
	slices.SortFunc(files, strings.Compare)
	files = slices.Compact(files)
	var scripts []*Script
	var mistakes []error
	for _, file := range files {
		src, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("load scripts: %w", err)
		}
		s, err := Parse(file, src)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		scripts = append(scripts, s)
	}
	return scripts, errors.Join(mistakes...)
}
