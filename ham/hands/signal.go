package hands

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
)

// sendSignal signals the process behind a pidfd, or its whole process group if it leads one. Signal 0 only looks whether there
// is anybody. The error is proc.ErrGone when there is not.
func sendSignal(pidfd, pid int, sig unix.Signal, group bool) error {
	flags := 0
	if group {
		flags = unix.PIDFD_SIGNAL_PROCESS_GROUP
	}
	err := unix.PidfdSendSignal(pidfd, sig, nil, flags)
	if err == unix.EINVAL && group { // before Linux 6.9
		err = signalGroup(pidfd, pid, sig)
	}
	return goneOr("signal", pid, err)
}

// signalGroup signals a process group by number. The number cannot be another's while the leader has not been reaped.
func signalGroup(pidfd, pid int, sig unix.Signal) error {
	if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); err != nil {
		return err
	}
	return unix.Kill(-pid, sig)
}

func goneOr(what string, pid int, err error) error {
	if err == nil || errors.Is(err, proc.ErrGone) {
		return err
	}
	if err == unix.ESRCH {
		err = proc.ErrGone
	}
	return fmt.Errorf("cannot %s process %d: %w", what, pid, err)
}

// siginfo is the kernel's siginfo_t for a queued signal, as sigqueue(3) fills it in, on 64-bit Linux.
type siginfo struct {
	signo, errno, code int32
	_                  int32
	pid, uid           int32
	value              uint64 // union sigval: sival_int is its low half
	_                  [96]byte
}

const siQueue = -1 // SI_QUEUE

// queueSignal sends a signal with a value to the process behind a pidfd, which finds it in si_value. The error is proc.ErrGone
// when there is none, unix.EAGAIN when too many signals wait for it.
func queueSignal(pidfd, pid int, sig unix.Signal, value int32) error {
	info := siginfo{signo: int32(sig), code: siQueue, pid: int32(unix.Getpid()), uid: int32(unix.Getuid()), value: uint64(uint32(value))}
	err := unix.PidfdSendSignal(pidfd, sig, (*unix.Siginfo)(unsafe.Pointer(&info)), 0)
	return goneOr("signal", pid, err)
}
