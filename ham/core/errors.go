package core

import "errors"

// What a request is refused with. Nothing has changed then.
var (
	ErrBadName      = errors.New("bad name")                                           // EINVAL
	ErrNameTooLong  = errors.New("path too long")                                      // ENAMETOOLONG
	ErrBadSpec      = errors.New("bad declaration")                                    // EINVAL
	ErrNotFound     = errors.New("not found")                                          // ENOENT
	ErrStale        = errors.New("handle is stale: it was removed and declared again") // ENOENT
	ErrExists       = errors.New("exists already")                                     // EEXIST
	ErrNotPermitted = errors.New("not permitted")                                      // EPERM
	ErrRunning      = errors.New("a process is attached")                              // EBUSY
	ErrNotRunning   = errors.New("no process is attached")                             // ESRCH
	ErrOnlyRestart  = errors.New("another death condition has a restart")              // EINVAL
	ErrCycle        = errors.New("dependencies form a circle")                         // EINVAL
	ErrStopping     = errors.New("everything is being stopped")
)

// Why an action failed, where it was HAM that decided it.
var (
	ErrGaveUp      = errors.New("the restart budget is used up")
	ErrInterrupted = errors.New("HAM died while it ran: its outcome is not known")
	ErrTooDeep     = errors.New("raises raise one another without end")
)
