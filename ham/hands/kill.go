package hands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// end ends a process, and the group that it leads, step by step. It returns when both are gone, or with an error if they have
// outlived the last step.
func (h *Hands) end(ctx context.Context, e core.End) error {
	id := proc.ID{PID: e.PID, Start: e.Start}
	pidfd, id, err := openPidfd(id)
	if errors.Is(err, proc.ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot end process %v: %w", id, err)
	}
	defer unix.Close(pidfd)
	t := target{id: id, pidfd: pidfd, owner: e.As}
	if e.Group {
		group, err := unix.Getpgid(id.PID)
		t.group = err == nil && group == id.PID
	}
	steps := e.Steps
	if len(steps) == 0 {
		steps = core.DefaultStop()
	}
	for _, step := range steps {
		if err := t.signal(unix.Signal(step.Signal)); errors.Is(err, proc.ErrGone) {
			return nil
		} else if err != nil {
			return err
		}
		if gone, err := t.await(ctx, step.Wait); gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %v has outlived %s", id, signalName(steps[len(steps)-1].Signal))
}

// target is a process to be signalled, and perhaps its group, on behalf of an owner.
type target struct {
	id    proc.ID
	pidfd int
	group bool
	owner core.Owner
}

// signal signals as the owner could: an administrator everybody, others only what runs as their user (kill(2)).
func (t *target) signal(sig unix.Signal) error {
	if t.owner.Admin {
		return sendSignal(t.pidfd, t.id.PID, sig, t.group)
	}
	if err := mayKill(t.owner, t.id.PID); err != nil {
		return err
	}
	if !t.group {
		return sendSignal(t.pidfd, t.id.PID, sig, false)
	}
	// The kernel would take our rights for all of them.
	return eachOfGroup(t.id.PID, func(id proc.ID) {
		if mayKill(t.owner, id.PID) != nil {
			return
		}
		if pidfd, _, err := openPidfd(id); err == nil {
			_ = sendSignal(pidfd, id.PID, sig, false)
			unix.Close(pidfd)
		}
	})
}

// await waits for the end, at most so long.
func (t *target) await(ctx context.Context, patience time.Duration) (gone bool, err error) {
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if t.gone() {
			return true, nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		if err := sleep(ctx, min(pause, left)); err != nil {
			return false, err
		}
	}
}

// gone reports whether neither the process nor anybody in its group runs any more. A zombie does not.
func (t *target) gone() bool {
	fds := []unix.PollFd{{Fd: int32(t.pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); err != nil || n == 0 {
		return false
	}
	return !t.group || errors.Is(unix.Kill(-t.id.PID, 0), unix.ESRCH) || !groupLives(t.id.PID)
}

// sleep waits, or returns the context's error if it ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendSignal sends one signal on behalf of an owner.
func (h *Hands) sendSignal(e core.SendSignal) error { return signalFor(e.As, e.Signal) }

func signalFor(o core.Owner, s core.Signal) error {
	pidfd, id, err := openPidfd(proc.ID{PID: s.PID, Start: s.Start})
	if err != nil {
		return fmt.Errorf("cannot signal process %d: %w", s.PID, err)
	}
	defer unix.Close(pidfd)
	if s.Group {
		t := target{id: id, pidfd: pidfd, group: true, owner: o}
		return t.signal(unix.Signal(s.Signal))
	}
	if err := mayKill(o, id.PID); err != nil {
		return err
	}
	return queueSignal(pidfd, id.PID, unix.Signal(s.Signal), int32(s.Value))
}

// mayKill reports, with an error, that the owner could not signal the process by himself. The rule is that of kill(2): his user is
// the process's real or saved one.
func mayKill(o core.Owner, pid int) error {
	if o.Admin || o.UID == 0 {
		return nil
	}
	users, err := usersOf(pid)
	if err != nil {
		return err
	}
	if o.UID != users[0] && o.UID != users[2] {
		return fmt.Errorf("%w signal process %d of user %d", errRights, pid, users[0])
	}
	return nil
}

// realUser returns the user as which a process was started.
func realUser(pid int) (uint32, error) {
	users, err := usersOf(pid)
	return users[0], err
}

// usersOf returns the real, effective and saved user of a process.
func usersOf(pid int) (users [3]uint32, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		err = proc.ErrGone
	}
	if err != nil {
		return users, fmt.Errorf("cannot see whose process %d is: %w", pid, err)
	}
	_, line, _ := bytes.Cut(text, []byte("\nUid:"))
	if n, err := fmt.Sscan(string(line[:min(len(line), 64)]), &users[0], &users[1], &users[2]); n != 3 {
		return users, fmt.Errorf("cannot see whose process %d is: %w", pid, err)
	}
	return users, nil
}
