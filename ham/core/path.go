package core

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Global is the name of the entity that stands for every entity: its conditions fire for whatever happens to any. It is
// always there. An empty name means the same (QNX: NULL).
const Global = "_global"

// MaxPath is the longest path, ENTITY/CONDITION/ACTION, in bytes (QNX: _POSIX_PATH_MAX).
const MaxPath = 255

// Path names a part of the tree. Condition and Action may be empty.
type Path struct {
	Entity    string `json:"entity,omitempty"`
	Condition string `json:"condition,omitempty"`
	Action    string `json:"action,omitempty"`
}

// String returns the path with its parts joined by slashes.
func (p Path) String() string {
	s := p.Entity
	if p.Condition != "" {
		s += "/" + p.Condition
	}
	if p.Action != "" {
		s += "/" + p.Action
	}
	return s
}

// ParsePath is the inverse of String.
func ParsePath(s string) (Path, error) {
	parts := strings.Split(s, "/")
	if len(parts) > 3 {
		return Path{}, fmt.Errorf("path %q has %d parts, expected at most 3, ENTITY/CONDITION/ACTION: %w", s, len(parts), ErrBadName)
	}
	p := Path{}
	for i, to := range []*string{&p.Entity, &p.Condition, &p.Action}[:len(parts)] {
		*to = parts[i]
		if err := checkName(parts[i]); err != nil {
			return Path{}, err
		}
	}
	return p, p.check()
}

// check refuses a path with bad names or one that is too long.
func (p Path) check() error {
	names := []string{p.Entity, p.Condition, p.Action}
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	for _, n := range names {
		if err := checkName(n); err != nil {
			return err
		}
	}
	if n := len(p.String()); n > MaxPath {
		return fmt.Errorf("path %.20q… has %d bytes, expected at most %d: %w", p.String(), n, MaxPath, ErrNameTooLong)
	}
	return nil
}

// checkName refuses what could not be one part of a path, or would lie about where it ends.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a name is empty: %w", ErrBadName)
	case name[0] == '.':
		return fmt.Errorf("name %q begins with a dot: %w", name, ErrBadName)
	case strings.Contains(name, "/"):
		return fmt.Errorf("name %q holds a slash: %w", name, ErrBadName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("name %q holds what cannot be printed: %w", name, ErrBadName)
	}
	return nil
}

// Handle is a path and the generation of what it named: if that was removed and another was declared in its place, the
// handle is stale (ErrStale). Generation 0 takes whatever has the name.
type Handle struct {
	Path
	Generation uint64 `json:"generation,omitempty"`
}
