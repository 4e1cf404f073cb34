package proc

import (
	"bytes"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// pfExiting is the kernel's PF_EXITING: set early in do_exit, which never
// returns to user mode.
const pfExiting = 0x4

// statSize holds every field this package reads of a stat line, however long
// its other fields get.
const statSize = 1024

var errMalformedStat = errors.New("malformed stat line")

// stat is what this package reads of /proc/<pid>/stat or /proc/<pid>/task/<tid>/stat,
// see proc_pid_stat(5).
type stat struct {
	pid     int    // field 1
	state   byte   // field 3
	flags   uint64 // field 9
	threads int    // field 20, of the whole process
	start   uint64 // field 22, clock ticks since boot
}

// over reports whether the thread can never run in user mode again.
func (s *stat) over() bool {
	return s.flags&pfExiting != 0 || s.state == 'Z' || s.state == 'X' || s.state == 'x'
}

// parseStat reads one stat line. The command (field 2) may hold anything,
// blanks, newlines and parentheses too; what follows the last parenthesis is
// the kernel's own.
func parseStat(line []byte) (stat, error) {
	var s stat
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return s, errMalformedStat
	}
	pid, err := strconv.ParseUint(string(bytes.TrimSuffix(line[:open], []byte{' '})), 10, 31)
	if err != nil {
		return s, errMalformedStat
	}
	s.pid = int(pid)

	rest := line[end+1:]
	for field := 3; field <= 22; field++ {
		if len(rest) == 0 || rest[0] != ' ' {
			return s, errMalformedStat
		}
		var word []byte
		word, rest = cutWord(rest[1:])
		if !s.set(field, word) {
			return s, errMalformedStat
		}
	}
	// A line cut off inside field 22 would give a wrong start time.
	if len(rest) == 0 {
		return s, errMalformedStat
	}
	return s, nil
}

// set takes over one field, if it is one that counts, and reports whether it is
// well-formed.
func (s *stat) set(field int, word []byte) bool {
	switch field {
	case 3:
		if len(word) != 1 {
			return false
		}
		s.state = word[0]
		return true
	case 9, 20, 22:
		n, err := strconv.ParseUint(string(word), 10, 64)
		if err != nil {
			return false
		}
		switch field {
		case 9:
			s.flags = n
		case 20:
			s.threads = int(n)
			return n <= 1<<30
		case 22:
			s.start = n
		}
	}
	return len(word) > 0
}

// cutWord splits b before its first blank or newline.
func cutWord(b []byte) (word, rest []byte) {
	if i := bytes.IndexAny(b, " \n"); i >= 0 {
		return b[:i], b[i:]
	}
	return b, nil
}

// readStat reads the stat file of that name, relative to directory dir. The error
// is ErrGone when the process or thread is.
func readStat(dir int, name string) (stat, error) {
	fd, err := openStat(dir, name)
	if err != nil {
		return stat{}, err
	}
	defer unix.Close(fd)
	return rereadStat(fd)
}

func openStat(dir int, name string) (fd int, err error) {
	fd, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return fd, goneOr(err)
}

// rereadStat reads an open stat file anew. It stays that of one process or thread,
// whoever gets its number later.
func rereadStat(fd int) (stat, error) {
	var line [statSize]byte
	n, err := unix.Pread(fd, line[:], 0)
	if err != nil {
		return stat{}, goneOr(err)
	}
	return parseStat(line[:n])
}

// goneOr turns the errors by which /proc says that a process is gone into ErrGone.
func goneOr(err error) error {
	if err == unix.ENOENT || err == unix.ESRCH {
		return ErrGone
	}
	return err
}
