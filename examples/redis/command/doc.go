// Package command is the commands of Redis over a keyspace.
//
// Invariant: what a command answers and changes depends on the tracked state and on the Call alone, its time and its random
// numbers, never on the process that runs it. So all modes of a pair can run it, and a backup that runs it again answers
// the same bytes. And a command that answers with an error has changed nothing.
//
// Replies and errors are, byte for byte, those of Redis 7.0; the differential test compares them with a real server. Where
// a reply has no order in Redis (the members of a set, the fields of a hash), ours is that of the keyspace's index.
package command
