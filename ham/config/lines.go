package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// lines knows on which line of a file its tables and keys stand. Paths look like entity[0].condition[1].on. It is good for
// messages only: a key that it does not find is reported where its table begins.
type lines struct {
	at    map[string]int
	order []string // paths as they come
}

var (
	tableLine = regexp.MustCompile(`^\s*(\[\[?)\s*([^\]]+?)\s*\]`)
	keyLine   = regexp.MustCompile(`^\s*([A-Za-z0-9_."-]+)\s*=`)
)

func newLines(text string) *lines {
	l := &lines{at: map[string]int{}}
	count := map[string]int{} // of the elements of an array of tables
	table := ""
	for i, line := range strings.Split(text, "\n") {
		if m := tableLine.FindStringSubmatch(line); m != nil {
			table = elementPath(m[2], m[1] == "[[", count)
			l.note(table, i+1)
		} else if m := keyLine.FindStringSubmatch(line); m != nil {
			l.note(join(table, strings.ReplaceAll(m[1], `"`, "")), i+1)
		}
	}
	return l
}

// elementPath gives the names of a table header the indexes that they mean there.
func elementPath(header string, array bool, count map[string]int) (path string) {
	names := strings.Split(strings.ReplaceAll(header, `"`, ""), ".")
	for i, name := range names {
		path = join(path, strings.TrimSpace(name))
		n := count[path]
		if array && i == len(names)-1 {
			count[path]++
			n++
		}
		if n > 0 {
			path += "[" + strconv.Itoa(n-1) + "]"
		}
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (l *lines) note(path string, line int) {
	if _, ok := l.at[path]; !ok {
		l.at[path] = line
		l.order = append(l.order, path)
	}
}

// of returns the line of a path, or of the nearest thing around it; 0: nothing is.
func (l *lines) of(path string) int {
	for path != "" {
		if n := l.at[path]; n > 0 {
			return n
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return 0
		}
		path = path[:i]
	}
	return 0
}

var index = regexp.MustCompile(`\[\d+\]`)

// first returns the line of the first path that is key but for its indexes.
func (l *lines) first(key string) int {
	for _, path := range l.order {
		if index.ReplaceAllString(path, "") == key {
			return l.at[path]
		}
	}
	if i := strings.LastIndexByte(key, '.'); i > 0 {
		return l.first(key[:i])
	}
	return 0
}

// Mistake is one thing that is wrong in a file.
type Mistake struct {
	File string
	Line int    // 0: not known
	Path string // such as entity[0].condition[1].on; "": the file
	Text string // what is wrong, and what was expected
}

// Error implements error.
func (m *Mistake) Error() string {
	where := m.File
	if m.Line > 0 {
		where += ":" + strconv.Itoa(m.Line)
	}
	if m.Path != "" {
		return fmt.Sprintf("%s: %s: %s", where, m.Path, m.Text)
	}
	return fmt.Sprintf("%s: %s", where, m.Text)
}

var _ error = (*Mistake)(nil)
