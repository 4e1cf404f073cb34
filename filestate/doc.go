// Package filestate keeps what a process pair has open outside itself: files, listeners and connections that go on when
// the process that served them dies.
//
// Invariant: whatever is done to the outside was planned before, the plan is part of a State that can be checkpointed, and to
// do a plan again, from its start, any number of times and by whoever holds the State, leaves the outside as if it had
// been done once. So after a death at any instruction the other member finishes what was begun.
//
// Its kinds of files:
//
//	File       a regular file: appends, writes, truncates, renames and syncs
//	Listener   a listening socket, TCP or unix
//	Conn       a stream connection, TCP or unix, with a peer that knows nothing of pairs
//	Requester  an open of another pair
//
// Each is used with the same verbs, after NonStop's __ns_fopen_special, __ns_fget_file_open_state, __ns_backup_fopen,
// __ns_fget_file_state and __ns_fset_file_state:
//
//	primary: OpenX           plan   State → checkpoint   Do   plan …
//	backup:            BackupOpenX         SetState                 Do (once the primary is dead)
//
// States are structs with named fields, to be encoded with msgpack: as a control.Open once, as a control.FileState in
// every checkpoint. Descriptors (FDs) are passed over a unix socket beside them, before the State that needs them.
//
// What is promised holds for the death of one member at a time. Against the loss of the host there is File.Sync, and nothing else.
package filestate
