package hands

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// exit says how a process has ended. The zero value: nobody knows.
type exit struct {
	known  bool
	status unix.WaitStatus
}

// childStatus returns how the child of this process behind a pidfd has ended; it stays to be reaped. The zero exit: it still runs, or
// somebody who debugs it has yet to let go of it. The error is ECHILD when it is no child, or has been reaped.
func childStatus(pidfd int) (exit, error) {
	const exited, dumped = 1, 3 // CLD_EXITED, CLD_DUMPED; what else comes is CLD_KILLED
	var info siginfo
	err := unix.EINTR
	for err == unix.EINTR {
		err, _ = unix.Waitid(unix.P_PIDFD, pidfd, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil).(syscall.Errno)
	}
	switch {
	case err != 0:
		return exit{}, err
	case info.pid == 0:
		return exit{}, nil
	}
	status := unix.WaitStatus(uint32(info.value)) // si_status is where a signal's value is
	switch info.code {
	case exited:
		status <<= 8
	case dumped:
		status |= 0x80
	}
	return exit{true, status}, nil
}

// reap takes the status of one child of this process that has ended.
func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != unix.EINTR {
			return
		}
	}
}

// exitInfo asks the kernel how the process behind a pidfd has ended, whoever its parent is. It answers from the moment at
// which the process has been reaped, and since Linux 6.15.
func exitInfo(pidfd int) exit {
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if err := unix.IoctlPidfdInfo(pidfd, &info); err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return exit{}
	}
	return exit{true, unix.WaitStatus(info.Exit_code)}
}

// zombieStatus reads how a process that is dead and not yet reaped has ended, from /proc/<pid>/stat. That shows 0 both for a
// good end and for one that is none of our business (proc_pid_stat(5)), so only other values count.
func zombieStatus(id proc.ID) exit {
	s, ok := readStat(id.PID)
	if !ok || s.state != 'Z' || s.start != id.Start || s.status == 0 {
		return exit{}
	}
	return exit{true, unix.WaitStatus(s.status)}
}

// event is how package core puts it.
func (x exit) event() core.Exit {
	switch {
	case !x.known:
		return core.Exit{}
	case x.status.Signaled():
		return core.Exit{Known: true, Signal: int(x.status.Signal()), Core: x.status.CoreDump()}
	}
	return core.Exit{Known: true, Code: x.status.ExitStatus()}
}

// text is how people put it; "" for a good end.
func (x exit) text() string {
	switch e := x.event(); {
	case !e.Known:
		return "ended, nobody knows how"
	case e.Signal != 0:
		return "ended by " + signalName(e.Signal)
	case e.Code != 0:
		return "exit status " + strconv.Itoa(e.Code)
	}
	return ""
}

// signalName is SIGTERM for 15; a number for what has no name.
func signalName(sig int) string {
	if name := unix.SignalName(unix.Signal(sig)); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(sig)
}
