package hands

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
)

// findSpawned looks for the live process that was started under an ID by this HAM, whichever process was HAM then. Of several,
// children of it among them, it is the one that leads its session, as what is started does, else the oldest.
func (h *Hands) findSpawned(id uint64) (found proc.ID, ok bool) {
	h.births.Do(h.awaitBirths)
	marks := [][]byte{
		[]byte("\x00" + envSpawn + "=" + strconv.FormatUint(id, 10) + "\x00"),
		[]byte("\x00" + envRun + "=" + h.cfg.Dir + "\x00"),
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return proc.ID{}, false
	}
	leads := false
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !carries(pid, marks) {
			continue
		}
		s, ok := readStat(pid)
		if !ok || s.dead() {
			continue
		}
		leader := s.session == pid
		if found.PID == 0 || leader && !leads || leader == leads && s.start < found.Start {
			found, leads = proc.ID{PID: pid, Start: s.start}, leader
		}
	}
	return found, found.PID != 0
}

// birthPause is between two looks for processes that are about to become programs.
const birthPause = time.Millisecond

// awaitBirths waits for what a HAM before this one had begun to start when it died. From fork until the end of exec a process shows its
// parent's environment, or none, and would not be found; it is only a moment, which that death does not prolong.
func (h *Hands) awaitBirths() {
	own, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		return
	}
	for end := monotonic() + execPatience; unborn(own) && monotonic() < end; {
		if sleep(h.ctx, birthPause) != nil {
			return
		}
	}
}

// unborn reports whether there is a young process, no child of this one, that a program of this command line has forked and that is not
// another program yet, or is just about to be.
func unborn(cmdline []byte) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	youngest := bootTicks() - ticks(execPatience)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		s, ok := readStat(pid)
		if !ok || s.dead() || int64(s.start) < youngest || s.parent == os.Getpid() || s.flags&(flagExiting|flagKernel) != 0 {
			continue
		}
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && (len(line) == 0 || s.flags&flagForkNoExec != 0 && bytes.Equal(line, cmdline)) {
			return true
		}
	}
	return false
}

// Flags of a process as /proc/<pid>/stat has them: PF_ constants of the kernel.
const (
	flagExiting    = 0x4
	flagForkNoExec = 0x40
	flagKernel     = 0x200000
)

// ticks is a time in the unit of /proc/<pid>/stat, which is the same on all architectures that Go runs on.
func ticks(d time.Duration) int64 { return int64(d / (10 * time.Millisecond)) }

// bootTicks is the time since boot in that unit: start times count from there.
func bootTicks() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail: the clock exists, and so does ts
	return ticks(time.Duration(ts.Nano()))
}

// carries reports whether a process has all the marks in its environment.
func carries(pid int, marks [][]byte) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	env = append([]byte{0}, env...)
	for _, m := range marks {
		if !bytes.Contains(env, m) {
			return false
		}
	}
	return true
}

// groupLives reports whether a process of the group still lives, zombies not counted.
func groupLives(group int) (lives bool) {
	_ = eachOfGroup(group, func(proc.ID) { lives = true })
	return lives
}

// eachOfGroup calls f for the live processes of a process group. The error is proc.ErrGone when there are none.
func eachOfGroup(group int, f func(proc.ID)) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	err = proc.ErrGone
	for _, e := range entries {
		pid, notPID := strconv.Atoi(e.Name())
		if notPID != nil {
			continue
		}
		if s, ok := readStat(pid); ok && s.group == group && !s.dead() {
			f(proc.ID{PID: pid, Start: s.start})
			err = nil
		}
	}
	return err
}

// stat is what counts of /proc/<pid>/stat; see proc_pid_stat(5).
type stat struct {
	state          byte   // field 3
	parent         int    // field 4
	group, session int    // fields 5, 6
	flags          int64  // PF_…: field 9
	ticks          uint64 // of processor time: fields 14, 15
	start          uint64 // field 22
	rss            int64  // pages: field 24
	status         int    // field 52: as wait tells it; 0 also for what is none of our business
}

// dead reports whether nothing of the process runs any more.
func (s *stat) dead() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (stat, bool) {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	return parseStat(line)
}

// parseStat reads one stat line. The command, field 2, may hold anything; what follows the last parenthesis is the kernel's own.
func parseStat(line []byte) (s stat, ok bool) {
	fields := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
	const first, fewest = 3, 52
	if len(fields) <= fewest-first || len(fields[0]) != 1 {
		return s, false
	}
	field := func(i int) int64 {
		n, err := strconv.ParseInt(string(fields[i-first]), 10, 64)
		ok = ok && err == nil
		return n
	}
	ok = true
	s = stat{state: fields[0][0], parent: int(field(4)), group: int(field(5)), session: int(field(6)), flags: field(9), ticks: uint64(field(14) + field(15)),
		start: uint64(field(22)), rss: field(24), status: int(field(52))}
	return s, ok
}
