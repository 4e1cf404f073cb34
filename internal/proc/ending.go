package proc

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// KilledBy returns the signal that ended, or is ending, the process; 0 if it ended by itself, still runs, or does not let us
// see. It can be known from the moment at which the signal is taken (field 52 of the stat line, see proc_pid_stat(5)) until the
// process is reaped, and since Linux 6.15 afterwards too (PIDFD_GET_INFO).
func (p *Process) KilledBy() (sig unix.Signal) {
	_ = p.use("see the end of", func() error {
		var line [statSize]byte
		if n, err := unix.Pread(p.stat, line[:], 0); err == nil {
			sig = endingSignal(line[:n])
			return nil
		}
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		if err := unix.IoctlPidfdInfo(p.pidfd, &info); err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
			return err
		}
		if ws := unix.WaitStatus(info.Exit_code); ws.Signaled() {
			sig = ws.Signal()
		}
		return nil
	})
	return sig
}

// endingSignal reads the last field of a stat line: the exit status as waitpid reports it.
func endingSignal(line []byte) unix.Signal {
	line = bytes.TrimRight(line, "\n ")
	status, err := strconv.ParseUint(string(line[bytes.LastIndexByte(line, ' ')+1:]), 10, 31)
	if err != nil || bytes.LastIndexByte(line, ')') < 0 || bytes.Count(line[bytes.LastIndexByte(line, ')'):], []byte{' '}) < 50 {
		return 0 // not the whole line: fields 3 to 52 follow the command
	}
	ws := unix.WaitStatus(status)
	if !ws.Signaled() {
		return 0
	}
	return ws.Signal()
}
