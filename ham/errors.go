package ham

import (
	"errors"

	"github.com/1fb4ed1c/tandem/ham/core"
)

var (
	// ErrNoHAM says that no HAM runs, or that it has been gone for longer than it takes to be started again.
	ErrNoHAM = errors.New("no HAM runs")
	// ErrMissed says that some of what happened is not kept any more. What follows it is complete again.
	ErrMissed = errors.New("happenings are not kept any more")
	// ErrNewHAM says that HAM and its guardian were gone at the same time, so that the present one does not know what was declared
	// for this client.
	ErrNewHAM = errors.New("HAM was started anew")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("the client is closed")
)

// What a request is refused with; nothing has changed then.
var (
	ErrBadName      = core.ErrBadName
	ErrNameTooLong  = core.ErrNameTooLong
	ErrBadSpec      = core.ErrBadSpec
	ErrNotFound     = core.ErrNotFound
	ErrStale        = core.ErrStale
	ErrExists       = core.ErrExists
	ErrNotPermitted = core.ErrNotPermitted
	ErrRunning      = core.ErrRunning
	ErrNotRunning   = core.ErrNotRunning
	ErrOnlyRestart  = core.ErrOnlyRestart
	ErrCycle        = core.ErrCycle
	ErrStopping     = core.ErrStopping
)
