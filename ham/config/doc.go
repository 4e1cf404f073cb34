// Package config reads what a monitor is to watch from a TOML file. Its invariant: a file is taken whole or not at all,
// and a mistake is told with the file, the line and what was expected there.
//
// A file declares the same things as the API (package core), with two defaults of its own, since it says how things are to be and
// not what is to happen once: conditions and actions outlast a restart, and an action stays when it has failed. "once = true"
// gives QNX's defaults back.
package config
