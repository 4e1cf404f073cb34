package filestate

import "errors"

var (
	// ErrReplaced says that the path of a file leads to another file, or to none: somebody renamed, removed or replaced it.
	ErrReplaced = errors.New("the file was replaced")
	// ErrShortened says that a file is shorter than what has been written to it.
	ErrShortened = errors.New("the file was shortened")
	// ErrNoReserve says that a file system cannot set space aside, so that a planned write could fail for lack of it.
	ErrNoReserve = errors.New("the file system cannot reserve space")
	// ErrTooOld says that an operation is repeated whose result is not kept any more (nonstop.md §4.4): the sync depth
	// of the open is smaller than the number of operations between two checkpoints.
	ErrTooOld = errors.New("the operation is too old: its result is not kept")
	// ErrDifferent says that an operation is repeated under the sync ID of another one.
	ErrDifferent = errors.New("another operation has this sync ID")
	// ErrNotThis says that a state, or a descriptor, belongs to another file than the one it is given to.
	ErrNotThis = errors.New("the state is of another file")
	// ErrUnknown says that a state holds an operation that this version of the program does not know.
	ErrUnknown = errors.New("unknown operation")
	// ErrOver says that a connection is over: reset, timed out, or closed by both sides. Nothing can be said of how far
	// it got, and nobody is there to whom it matters.
	ErrOver = errors.New("the connection is over")
)
