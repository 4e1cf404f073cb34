package proc

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// errHidden: /proc shows no such process, the kernel knows it all the same. So
// it is with hidepid and with a /proc of another pid namespace.
var errHidden = errors.New("the process exists, but /proc does not show it")

// Process is a process held by a pidfd and by its directory under /proc, which mean
// this one process for ever, whoever gets its pid later. Its methods may be called
// from several goroutines.
type Process struct {
	id ID

	mu    sync.RWMutex // Close against everything else: a reused descriptor would hit another process
	pidfd int          // -1 when closed
	dir   int          // O_PATH, /proc/<pid>
	stat  int          // its stat, kept open: reading it again takes half as long as opening it
}

// Open takes hold of the process with that ID. The error is ErrGone when it has
// been reaped, or when its pid has been recycled.
func Open(id ID) (*Process, error) {
	p := &Process{id: id, pidfd: -1, dir: -1, stat: -1}
	err := p.open()
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("cannot open process %v: %w", id, err)
	}
	return p, nil
}

func (p *Process) open() (err error) {
	if p.id.PID <= 0 {
		return ErrGone
	}
	if p.pidfd, err = unix.PidfdOpen(p.id.PID, 0); err != nil {
		return goneOr(err)
	}
	// The pidfd first, the start time after it: if that is still the expected
	// one, the pidfd cannot be of a later process.
	if p.dir, err = unix.Open(procDir(p.id.PID), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return p.goneFor(goneOr(err))
	}
	if p.stat, err = openStat(p.dir, "stat"); err != nil {
		return p.goneFor(err)
	}
	s, err := rereadStat(p.stat)
	if err != nil {
		return p.goneFor(err)
	}
	if s.start != p.id.Start {
		return ErrGone
	}
	return nil
}

// goneFor asks the kernel, through the pidfd, whether an ErrGone of /proc is
// true. Other errors it returns as they are.
func (p *Process) goneFor(err error) error {
	if errors.Is(err, ErrGone) && unix.PidfdSendSignal(p.pidfd, 0, nil, 0) != unix.ESRCH {
		return errHidden
	}
	return err
}

// ID returns the name under which the process was opened.
func (p *Process) ID() ID { return p.id }

// FD returns the pidfd: readable, for poll and epoll, when the process has
// ended. It stays the Process's own; it is -1 after Close.
func (p *Process) FD() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.pidfd
}

// Signal sends a signal to the process, or with signal 0 only checks that it
// has not been reaped. A zombie takes any signal. The error is ErrGone when
// it has been reaped.
func (p *Process) Signal(sig unix.Signal) error {
	return p.use("signal", func() error {
		return goneOr(unix.PidfdSendSignal(p.pidfd, sig, nil, 0))
	})
}

// State returns the state letter of the process's first thread: R running, S
// sleeping, D in the kernel without answering signals, T stopped, t traced, Z
// zombie. See proc_pid_stat(5). The error is ErrGone when it has been reaped.
func (p *Process) State() (state byte, err error) {
	err = p.use("see the state of", func() error {
		s, err := rereadStat(p.stat)
		state = s.state
		return p.goneFor(err)
	})
	return state, err
}

// CPUTime returns the processor time that all threads of the process have used.
// One that runs without progress spins, one that does not is blocked, stopped
// or starved. The error is ErrGone when it has been reaped.
func (p *Process) CPUTime() (used time.Duration, err error) {
	err = p.use("read the processor time of", func() error {
		// The process's own clock, see clock_getcpuclockid(3): 0.2 µs and exact to
		// the nanosecond, where /proc counts in hundredths of a second.
		const schedClock = 2
		var ts unix.Timespec
		clockErr := unix.ClockGettime(int32(^p.id.PID<<3|schedClock), &ts)
		// Not reaped now: so the pid was its own when the clock was read.
		if err := unix.PidfdSendSignal(p.pidfd, 0, nil, 0); err != nil && err != unix.EPERM {
			return goneOr(err)
		}
		used = time.Duration(ts.Nano())
		return clockErr
	})
	return used, err
}

// Close lets go of the process, which does nothing to it. Methods called later
// return os.ErrClosed.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fd := range []*int{&p.pidfd, &p.dir, &p.stat} {
		if *fd >= 0 {
			unix.Close(*fd)
		}
		*fd = -1
	}
	return nil
}

// use runs f with both descriptors held open.
func (p *Process) use(what string, f func() error) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	err := os.ErrClosed
	if p.pidfd >= 0 {
		err = f()
	}
	if err != nil {
		return fmt.Errorf("cannot %s process %v: %w", what, p.id, err)
	}
	return nil
}
