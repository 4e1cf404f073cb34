package daemon

import (
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// eyes show records to the process at the other end of a connection: with everything if it is his, or he an administrator.
type eyes struct {
	uid int64 // -1: the kernel does not tell
	all bool
}

func eyesOf(c net.Conn) eyes {
	uid := peerUID(c)
	return eyes{uid: uid, all: uid == 0 || uid == int64(os.Geteuid())}
}

func (y eyes) see(o core.Owner) bool { return y.all || !o.Admin && int64(o.UID) == y.uid }

// entity returns the record of an entity without what only its owner is to see: environments and arguments.
func (y eyes) entity(e *core.Entity) *core.Entity {
	if y.see(e.Owner) {
		return e
	}
	x := *e
	x.Settings.Command = bare(x.Settings.Command)
	if x.Process.Command != nil {
		c := bare(*x.Process.Command)
		x.Process.Command = &c
	}
	x.Conditions = slices.Clone(x.Conditions)
	for i := range x.Conditions {
		x.Conditions[i].Actions = nameless(x.Conditions[i].Actions)
	}
	return &x
}

// job is the same for a list in flight.
func (y eyes) job(j *core.Job) *core.Job {
	if y.see(j.Owner) {
		return j
	}
	x := *j
	x.Actions = nameless(x.Actions)
	return &x
}

func bare(c core.Command) core.Command {
	c.Env = nil
	c.Argv = c.Argv[:min(len(c.Argv), 1)]
	return c
}

// nameless returns actions that do not tell what is run, or who is told.
func nameless(actions []core.Action) []core.Action {
	actions = slices.Clone(actions)
	for i := range actions {
		s := &actions[i].Spec
		s.Execute, s.Dump, s.Notify, s.OnFail, s.Restart = nil, nil, nil, nil, nil
		actions[i].LastError = "" // it may tell what was printed
	}
	return actions
}

// peerUID returns the user at the other end, -1 if the kernel does not tell.
func peerUID(c net.Conn) int64 {
	uid := int64(-1)
	if raw, err := c.(*net.UnixConn).SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				uid = int64(cred.Uid)
			}
		})
	}
	return uid
}
