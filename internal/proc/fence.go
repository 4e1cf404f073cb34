package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotFenced says that a thread of the process may still run.
var ErrNotFenced = errors.New("process is not fenced")

// Pauses between two looks of Fence: the first threads are gone within tens of
// microseconds, a busy machine takes milliseconds.
const (
	firstPause = 20 * time.Microsecond
	maxPause   = time.Millisecond
)

// Silent looks once and reports whether no thread of the process will ever run
// in user mode again: every one is exiting (PF_EXITING), a zombie, or gone. A
// thread that has come so far has also finished its last system call.
//
// True is a proof for a process that is being killed or exits as a whole: it can
// start no further thread. For one that nobody has killed, Fence is the proof.
// A child it has started is another process, and goes on. Work it has left with the
// kernel for later (io_uring) is not covered.
func (p *Process) Silent() (bool, error) {
	running, err := p.look()
	return running == "" && err == nil, err
}

// Fence kills the process (SIGKILL) and waits until it is silent. A process that
// does not fall silent in time, because it hangs in the kernel, makes it
// ErrNotFenced: such a process may come back, so nobody may act in its place.
// At least one look is taken, however short the timeout. A process that is gone
// is fenced.
func (p *Process) Fence(timeout time.Duration) error {
	if err := p.Signal(unix.SIGKILL); err != nil && !errors.Is(err, ErrGone) {
		return fmt.Errorf("%w: %w", ErrNotFenced, err)
	}
	return awaitSilence(p.look, timeout)
}

// awaitSilence looks until nothing runs any more. The last look is never before
// the deadline, however late the pauses end.
func awaitSilence(look func() (running string, err error), timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		running, err := look()
		if running == "" && err == nil {
			return nil
		}
		left := time.Until(deadline)
		if left <= 0 && err != nil {
			return fmt.Errorf("%w: %w", ErrNotFenced, err)
		}
		if left <= 0 {
			return fmt.Errorf("%w: after %v: %s", ErrNotFenced, timeout, running)
		}
		// Not time.Sleep: the Go scheduler rounds short sleeps up to a millisecond.
		ts := unix.NsecToTimespec(int64(min(pause, left)))
		_ = unix.Nanosleep(&ts, nil)
	}
}

// look returns what still runs, in words, or "" for nothing.
func (p *Process) look() (running string, err error) {
	err = p.use("look at the threads of", func() error {
		running, err = p.runningThread()
		if errors.Is(err, ErrGone) {
			running, err = "", p.goneFor(err)
			if errors.Is(err, ErrGone) {
				err = nil
			}
		}
		return err
	})
	return running, err
}

// runningThread does the look of Silent.
//
// The kernel may cut a listing of /proc/<pid>/task short when a thread leaves
// while it is read. So the threads are counted first: a killed process gets no
// new ones, and hence a listing as long as that count is all of them.
func (p *Process) runningThread() (string, error) {
	first, err := rereadStat(p.stat)
	if err != nil {
		return "", err
	}
	if !first.over() {
		return describe(p.id.PID, &first), nil
	}
	if first.threads == 1 {
		return "", nil
	}
	listed, running := 0, ""
	err = p.eachThread(func(tid int) (more bool, err error) {
		listed++
		if tid == p.id.PID {
			return true, nil
		}
		s, err := readStat(p.dir, "task/"+strconv.Itoa(tid)+"/stat")
		if errors.Is(err, ErrGone) {
			return true, nil
		}
		if err == nil && !s.over() {
			running = describe(tid, &s)
		}
		return running == "", err
	})
	if err == nil && running == "" && listed != first.threads {
		running = fmt.Sprintf("%d of %d threads seen", listed, first.threads)
	}
	return running, err
}

func describe(tid int, s *stat) string {
	return fmt.Sprintf("thread %d is in state %c", tid, s.state)
}

// eachThread calls f for the threads under /proc/<pid>/task while it returns true.
func (p *Process) eachThread(f func(tid int) (more bool, err error)) error {
	fd, err := unix.Openat(p.dir, "task", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return goneOr(err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 8<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil {
			return goneOr(err)
		}
		if n == 0 {
			return nil
		}
		for entries := buf[:n]; len(entries) > 0; {
			var tid int
			tid, entries = nextThread(entries)
			if tid == 0 {
				continue
			}
			if more, err := f(tid); err != nil || !more {
				return err
			}
		}
	}
}

// nextThread takes the first entry off a getdents64 buffer. The thread is 0 for
// an entry that is none, such as the dots.
func nextThread(b []byte) (tid int, rest []byte) {
	const lengthAt, nameAt = 16, 19 // of struct linux_dirent64
	if len(b) <= nameAt {
		return 0, nil
	}
	length := int(binary.NativeEndian.Uint16(b[lengthAt:]))
	if length <= nameAt || length > len(b) {
		return 0, nil
	}
	for _, c := range b[nameAt:length] {
		if c < '0' || c > '9' {
			break
		}
		tid = tid*10 + int(c-'0')
	}
	return tid, b[length:]
}
