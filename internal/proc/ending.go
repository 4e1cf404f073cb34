package proc

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// KilledBy returns the signal that ended, or is ending, the process; 0 if it ended by itself, still runs, has been
// reaped, or does not let us see (field 52 of its stat line, see proc_pid_stat(5)). It can be known from the moment at which
// the signal is taken, long before the process can be reaped.
func (p *Process) KilledBy() (sig unix.Signal) {
	_ = p.use("see the end of", func() error {
		var line [statSize]byte
		n, err := unix.Pread(p.stat, line[:], 0)
		if err == nil {
			sig = endingSignal(line[:n])
		}
		return err
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
