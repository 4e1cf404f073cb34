package tree

import (
	"slices"
	"strings"
)

// A name that would be taken for a file of the tree's own gets an equals sign; so does one that looks like a name with such a sign, so
// that to each name there is one file, and to each file one name.

// toFile returns the name of the file or directory of a part of HAM's tree.
func toFile(name string, taken func(string) bool) string {
	if taken(strings.TrimRight(name, "=")) {
		return name + "="
	}
	return name
}

// fromFile is the inverse of toFile; not ok: no name has that file.
func fromFile(file string, taken func(string) bool) (name string, ok bool) {
	if taken(strings.TrimRight(file, "=")) {
		return strings.CutSuffix(file, "=")
	}
	return file, true
}

func takenInRoot(name string) bool {
	return slices.Contains(rootFiles, strings.TrimSuffix(name, asJSON))
}

// takenByJSON: at the end of the name of an action's file .json means the twin of another.
func takenByJSON(name string) bool { return strings.HasSuffix(name, asJSON) }
