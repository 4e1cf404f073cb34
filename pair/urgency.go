package pair

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A backup that takes over competes with the kernel, which takes the dead primary's memory apart on the same processors:
// for milliseconds, in slices of milliseconds. Where it may (CAP_SYS_NICE), the thread that takes over therefore comes
// first, under SCHED_FIFO, from the notice of the death until it has answered those who waited. Not earlier: a backup that
// came first while it follows would take that time from the primary. Not one that has kept requests to be run at the
// takeover: that can take long.

// urgentFor is how long a new primary keeps coming first.
const urgentFor = 5 * time.Millisecond

// urgency is whether the loop's thread comes first.
type urgency struct {
	allowed bool // the loop has a goroutine of its own
	on      bool
	until   time.Duration
}

// comeFirst puts the thread of the loop before all others for a moment.
func (m *member) comeFirst() {
	u := &m.urgent
	if !u.allowed || u.on {
		return
	}
	runtime.LockOSThread()
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		u.allowed = false
		runtime.UnlockOSThread()
		return
	}
	u.on, u.until = true, m.now+urgentFor
}

// calmDown makes it an ordinary thread again, when its time is over or at once.
func (m *member) calmDown(now bool) {
	u := &m.urgent
	if !u.on || !now && m.now < u.until {
		return
	}
	u.on = false
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		m.log.Error("this thread cannot go back to its ordinary priority", "cause", err)
	}
	runtime.UnlockOSThread()
}
