package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 16 << 20

// Load reads a file. The error joins all mistakes, each a *Mistake.
func Load(path string) ([]core.EntitySpec, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("cannot read the configuration: %s has %d bytes, expected at most %d", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	return Parse(path, string(text))
}

// Parse reads the text of a file; name is for messages. The entities come in the order of the file, the global one, if anything is
// declared there, at the end. The error joins all mistakes, each a *Mistake.
func Parse(name, text string) ([]core.EntitySpec, error) {
	r := &reader{name: name, lines: newLines(text)}
	var f file
	meta, err := toml.Decode(text, &f)
	if err != nil {
		return nil, r.syntax(err)
	}
	for _, key := range meta.Undecoded() {
		if !r.partOf(key.String()) {
			r.mistakes = append(r.mistakes, &Mistake{name, r.lines.first(key.String()), key.String(), "unknown key"})
		}
	}
	specs := r.entities(&f)
	if len(r.mistakes) > 0 {
		return nil, errors.Join(r.mistakes...)
	}
	return specs, nil
}

// reader collects what is wrong.
type reader struct {
	name     string
	lines    *lines
	mistakes []error
}

// wrong notes a mistake at a path.
func (r *reader) wrong(path, format string, args ...any) {
	r.mistakes = append(r.mistakes, &Mistake{r.name, r.lines.of(path), path, fmt.Sprintf(format, args...)})
}

var lastKey = regexp.MustCompile(`\(last key "([^"]+)"\)`)

// syntax tells where the decoder stopped.
func (r *reader) syntax(err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		m := &Mistake{File: r.name, Line: parse.Position.Line, Path: parse.LastKey, Text: parse.Message}
		if m.Text == "" {
			m.Text = strings.TrimPrefix(err.Error(), "toml: ")
		}
		return m
	}
	m := &Mistake{File: r.name, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	if key := lastKey.FindStringSubmatch(err.Error()); key != nil {
		m.Path, m.Line = key[1], r.lines.first(key[1])
	}
	return m
}

// whole are the keys whose tables are read by their own types: what is in them is checked there.
var whole = []string{"after", "execute", "dump", "log", "signal", "from", "to", "type", "class", "severity"}

// partOf tells whether a key that the decoder has not seen belongs to a value that was read as a whole.
func (r *reader) partOf(key string) bool {
	names := strings.Split(key, ".")
	return slices.ContainsFunc(names[:len(names)-1], func(name string) bool { return slices.Contains(whole, name) })
}
