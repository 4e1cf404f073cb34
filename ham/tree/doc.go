// Package tree shows HAM as a tree of files, as /proc/ham does on QNX: entities are directories, their conditions directories in
// these, actions files. Its invariant: a file is generated when it is opened, whole, from records as they are then; the size that
// is told of it is that of the text; and every part of HAM's tree has one path here, whatever it is called.
//
//	/.info                              HAM itself
//	/history                            what happened last, to everybody
//	/running                            the action lists in flight
//	/ENTITY/.info                       an entity
//	/ENTITY/CONDITION/.info             one of its conditions
//	/ENTITY/CONDITION/ACTION            one of the actions of this
//
// Each file has a twin with .json at the end of its name: the same fields in the same order, with keys in lower case and spaces as
// underscores, times as RFC 3339 has them and durations in nanoseconds.
//
// A line of a file is the name of a field, padded to a column, then a colon and the value, as on QNX; its fields come first, in its
// words and order. One thing is put right: the type of an entity that attached itself is called "Entity type" like any other. Times
// are UTC. Nothing that a user has named or said can look like a line of its own: what could is quoted.
//
// Names of entities, conditions and actions never begin with a dot, so .info is free. An entity called history or running, also with
// .json, and an action whose name ends in .json has an equals sign appended to its name, and so has who is called like one of
// these with equals signs at the end.
//
// Directories have mode 0500 and files 0400, as on QNX. Package mount puts the tree, or any other, where programs find it.
package tree
