package pairtest

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// Member names one process of a pair for ever, also after its pid has been given to another.
type Member struct {
	PID   int
	Start uint64 // clock ticks from boot to its start
}

// Alive reports whether the process may still run.
func (m Member) Alive() bool { return proc.ID(m).Alive() }

// String returns the member as pid@start.
func (m Member) String() string { return proc.ID(m).String() }

func member(m *registry.Member) Member { return Member{m.PID, m.Start} }

// Status is what the page of the pair says. It may be older than what the test has just done.
type Status struct {
	Instance  string
	Epoch     uint32
	Primary   Member // zero: none
	Backup    Member // zero: none
	Protected bool   // the backup holds the whole state
	Takeovers uint64
	Switches  uint64
	Requests  uint64
	Cause     string // of the last takeover
	Evidence  string // of the last takeover

	Listen []string // addresses at which clients are served that know nothing of pairs
}

// Status returns what the pair says of itself; the zero Status if it has said nothing yet.
func (p *Pair) Status() (s Status) {
	page, err := registry.Read(p.dir, p.name)
	if err != nil {
		return s
	}
	s = Status{Instance: page.Instance, Epoch: page.Epoch, Takeovers: page.Takeovers, Switches: page.Switches, Requests: page.Requests, Listen: page.Listen}
	if page.Primary != nil {
		s.Primary = member(page.Primary)
	}
	if page.Backup != nil {
		s.Backup, s.Protected = member(page.Backup), page.Backup.Synchronised
	}
	if t := page.LastTakeover; t != nil {
		s.Cause, s.Evidence = t.Cause, t.Evidence
	}
	return s
}

// Primary waits until there is a primary and returns it.
func (p *Pair) Primary() Member {
	p.t.Helper()
	return p.WaitStatus("a primary that is alive", func(s Status) bool { return s.Primary.Alive() }).Primary
}

// Backup waits until there is a backup, synchronised or not, and returns it.
func (p *Pair) Backup() Member {
	p.t.Helper()
	return p.WaitStatus("a backup that is alive", func(s Status) bool { return s.Primary.Alive() && s.Backup.Alive() }).Backup
}

// WaitProtected waits until both members are there and the backup holds the whole state.
func (p *Pair) WaitProtected() Status {
	p.t.Helper()
	return p.WaitStatus("a protected pair", func(s Status) bool { return s.Protected && s.Primary.Alive() && s.Backup.Alive() })
}

// WaitStatus waits until the status is as ok wants it; what says in words what that is.
func (p *Pair) WaitStatus(what string, ok func(Status) bool) (s Status) {
	p.t.Helper()
	p.wait(what, func() (bool, string) {
		s = p.Status()
		return ok(s), fmt.Sprintf("%+v", s)
	})
	return s
}

// Kill sends SIGKILL to a member and returns when it has ended. A member that is dead already is fine.
func (p *Pair) Kill(m Member) {
	p.t.Helper()
	p.Signal(m, unix.SIGKILL)
	p.WaitDead(m)
}

// Freeze sends SIGSTOP to a member and returns when it has stopped. The other member will not put up with it for long.
func (p *Pair) Freeze(m Member) {
	p.t.Helper()
	p.Signal(m, unix.SIGSTOP)
	p.wait(fmt.Sprintf("member %v to stop", m), func() (bool, string) {
		q, err := proc.Open(proc.ID(m))
		if err != nil {
			return true, ""
		}
		defer q.Close()
		state, err := q.State()
		return err != nil || state == 'T' || state == 'Z', fmt.Sprintf("state %c", state)
	})
}

// Thaw sends SIGCONT to a member, alive or not.
func (p *Pair) Thaw(m Member) {
	p.t.Helper()
	p.Signal(m, unix.SIGCONT)
}

// Signal sends any signal to a member. One that is gone gets none.
func (p *Pair) Signal(m Member, sig unix.Signal) {
	p.t.Helper()
	q, err := proc.Open(proc.ID(m))
	if err != nil {
		return
	}
	defer q.Close()
	_ = q.Signal(sig)
}

// WaitDead waits for the end of a member: no instruction of it runs any more, and it holds nothing open.
func (p *Pair) WaitDead(m Member) {
	p.t.Helper()
	q, err := proc.Open(proc.ID(m))
	if err != nil {
		return
	}
	defer q.Close()
	p.wait(fmt.Sprintf("member %v to die", m), func() (bool, string) {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(q.FD()), Events: unix.POLLIN}}, 0) // a pidfd is readable when all is over
		return n > 0, "it is alive"
	})
}

// Descriptors counts the open descriptors of a member.
func (p *Pair) Descriptors(m Member) int {
	fds, err := os.ReadDir("/proc/" + strconv.Itoa(m.PID) + "/fd")
	if err != nil {
		return 0
	}
	return len(fds)
}

// Process is a process started with Launch.
type Process struct {
	p *Pair
	c *process
}

// PID returns its process ID.
func (q *Process) PID() int { return q.c.pid }

// Wait waits for the end of the process and returns its exit code, or minus the signal that killed it.
func (q *Process) Wait() int {
	q.p.t.Helper()
	var status unix.WaitStatus
	q.p.wait(fmt.Sprintf("process %d to end", q.c.pid), func() (ok bool, _ string) {
		status, ok = q.c.exit(q.c.pid)
		return ok, "it has not"
	})
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

// Running reports whether the process has not ended.
func (q *Process) Running() bool {
	_, over := q.c.exit(q.c.pid)
	return !over
}

// WaitLog waits until the members have printed text.
func (p *Pair) WaitLog(text string) {
	p.t.Helper()
	p.WaitLogs(text, 1)
}

// WaitLogs waits until the members have printed text n times.
func (p *Pair) WaitLogs(text string, n int) {
	p.t.Helper()
	p.wait(fmt.Sprintf("the members to print %q, %d times", text, n), func() (bool, string) {
		seen := p.log.count(text)
		return seen >= n, fmt.Sprintf("%d times", seen)
	})
}
