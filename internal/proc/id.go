package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrGone says that the process is no more, or that its pid belongs to another
// one by now.
var ErrGone = errors.New("process is gone")

// ID names one process for as long as the host is up, also after its pid has
// been given to another process.
type ID struct {
	PID   int
	Start uint64 // clock ticks from boot to its start: field 22 of /proc/<pid>/stat
}

// String returns the ID as pid@start.
func (id ID) String() string {
	return strconv.Itoa(id.PID) + "@" + strconv.FormatUint(id.Start, 10)
}

// Self returns the ID of the calling process.
func Self() (ID, error) {
	s, err := readStat(unix.AT_FDCWD, "/proc/self/stat")
	if err != nil {
		return ID{}, fmt.Errorf("cannot identify this process: %w", err)
	}
	if pid := os.Getpid(); s.pid != pid {
		return ID{}, fmt.Errorf("cannot identify this process: its pid is %d, but /proc says %d: it belongs to another pid namespace", pid, s.pid)
	}
	return ID{PID: s.pid, Start: s.start}, nil
}

// Identify returns the ID of the process that has the pid now. A zombie still
// has its pid and so an ID. The error is ErrGone when no process has the pid.
func Identify(pid int) (ID, error) {
	s, err := readStat(unix.AT_FDCWD, procDir(pid)+"/stat")
	if errors.Is(err, ErrGone) && unix.Kill(pid, 0) != unix.ESRCH {
		err = errHidden
	}
	if err != nil {
		return ID{}, fmt.Errorf("cannot identify process %d: %w", pid, err)
	}
	return ID{PID: pid, Start: s.start}, nil
}

// Alive reports whether some thread of the process may still run: it has the
// same pid and start time, and is neither a zombie nor exiting. Where that
// cannot be known (no descriptor left, say) it reports true: a process is
// declared dead on proof only.
func (id ID) Alive() bool {
	p, err := Open(id)
	if err != nil {
		return !errors.Is(err, ErrGone)
	}
	defer p.Close()
	silent, err := p.Silent()
	return err != nil || !silent
}

func procDir(pid int) string { return "/proc/" + strconv.Itoa(pid) }
