package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrUnsupported says that this kernel lacks the call: pidfds of threads came
// with Linux 6.9.
var ErrUnsupported = errors.New("not supported by this kernel")

// pidfdThread is PIDFD_THREAD of pidfd_open(2).
const pidfdThread = unix.O_EXCL

// OpenThread returns a pidfd of one thread of the process with that pid:
// readable when that thread has ended. Where another thread outlives it, that
// is before the kernel frees the memory of the process. The caller closes it.
// The error is ErrGone when there is no such thread, ErrUnsupported before
// Linux 6.9.
func OpenThread(pid, tid int) (fd int, err error) {
	if fd, err = openThread(pid, tid); err != nil {
		return -1, fmt.Errorf("cannot open thread %d of process %d: %w", tid, pid, err)
	}
	return fd, nil
}

func openThread(pid, tid int) (int, error) {
	fd, err := unix.PidfdOpen(tid, pidfdThread)
	switch {
	case err == unix.EINVAL && tid > 0 && !ThreadPidfd():
		return -1, ErrUnsupported
	case err == unix.EINVAL:
		return -1, ErrGone
	case err != nil:
		return -1, goneOr(err)
	}
	// Opened first, checked after it: as in Open.
	if err := unix.Access(procDir(pid)+"/task/"+strconv.Itoa(tid), unix.F_OK); err != nil {
		unix.Close(fd)
		return -1, goneOr(err)
	}
	return fd, nil
}

// ThreadPidfd reports whether this kernel has pidfds of threads.
func ThreadPidfd() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), pidfdThread)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}
