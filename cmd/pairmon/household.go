package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// household is the demo's bank: a private directory, and every process that descends from the first member. This
// process is their subreaper, so each becomes its child when its own parent dies; when it has no child left, all are gone.
type household struct {
	home  string
	empty chan struct{} // closed when the last process is reaped
}

// How long to wait, at most.
const (
	upWithin   = 15 * time.Second // for a pair to be protected
	stopWithin = 10 * time.Second // for it to stop
	killWithin = 5 * time.Second  // for killed processes to end
)

var errAllDead = errors.New("no process of the pair lives any more")

// newHousehold starts the bank.
func newHousehold() (h *household, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot start the bank: %w", err)
		}
	}()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become the reaper of its members: %w", err)
	}
	home, err := os.MkdirTemp("", homePrefix)
	if err != nil {
		return nil, err
	}
	h = &household{home: home, empty: make(chan struct{})}
	if err := h.start(); err != nil {
		_ = os.RemoveAll(home)
		return nil, err
	}
	go h.reap()
	return h, nil
}

func (h *household) start() error {
	self, err := proc.Self()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(h.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	_, err = proc.Spawn(proc.Spec{Args: []string{os.Args[0], bankMemberVerb, h.home, self.String()}, Stdout: log, Stderr: log})
	return err
}

// reap ends when there is nobody left.
func (h *household) reap() {
	defer close(h.empty)
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return // ECHILD
		}
	}
}

func (h *household) logPath() string { return filepath.Join(h.home, "log") }

// page reads what the bank has published.
func (h *household) page() (registry.Page, error) { return registry.Read(runDir(h.home), bankName) }

// await returns the page as soon as it is good.
func (h *household) await(ctx context.Context, within time.Duration, what string, good func(*registry.Page) bool) (registry.Page, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("that took longer than %v", within))
	defer cancel()
	for {
		p, err := h.page()
		if err == nil && good(&p) {
			return p, nil
		}
		if err != nil && !errors.Is(err, registry.ErrNoPair) {
			return p, err
		}
		select {
		case <-h.empty:
			return p, fmt.Errorf("waiting until %s: %w", what, errAllDead)
		default:
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return p, fmt.Errorf("waiting until %s: %w", what, err)
		}
	}
}

func protected(p *registry.Page) bool {
	return p.Primary != nil && p.Backup != nil && p.Backup.Synchronised && p.UnprotectedSince == nil
}

// clear stops the bank and leaves nothing behind. The error says what had to be done by force, or could not be done.
func (h *household) clear() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err := pair.Stop(ctx, runDir(h.home), bankName)
	if errors.Is(err, pair.ErrNotRunning) {
		err = nil // whatever the reason is, it has been told
	}
	if !h.emptyWithin(killWithin) {
		err = errors.Join(err, errors.New("processes of the pair outlived its stop, and were killed"), h.killAll())
	}
	if rm := os.RemoveAll(h.home); rm != nil {
		err = errors.Join(err, fmt.Errorf("cannot remove the demo's directory: %w", rm))
	}
	return err
}

func (h *household) emptyWithin(d time.Duration) bool {
	select {
	case <-h.empty:
		return true
	case <-time.After(d):
		return false
	}
}

// killAll kills children until there are none: a killed one leaves its own to this process.
func (h *household) killAll() error {
	for end := time.Now().Add(killWithin); time.Now().Before(end); {
		children, err := childrenOf(os.Getpid())
		if err != nil {
			return err
		}
		for _, p := range children {
			_ = p.Signal(unix.SIGKILL)
			_ = p.Close()
		}
		if h.emptyWithin(10 * time.Millisecond) {
			return nil
		}
	}
	return errors.New("cannot end all processes of the pair")
}

// childrenOf opens the processes whose parent is pid.
func childrenOf(pid int) (out []*proc.Process, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		id, err := proc.Identify(child)
		if err != nil || parentOf(child) != pid {
			continue
		}
		if p, err := proc.Open(id); err == nil { // still the process that was identified: so its parent was read
			out = append(out, p)
		}
	}
	return out, nil
}

// parentOf reads field 4 of /proc/pid/stat; 0: the process is gone.
func parentOf(pid int) int {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, rest, found := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	if err != nil || !found {
		return 0
	}
	fields := bytes.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}

// lastWords returns the end of what the members have logged.
func (h *household) lastWords() string {
	f, err := os.Open(h.logPath())
	if err != nil {
		return ""
	}
	defer f.Close()
	const most = 4 << 10
	if st, err := f.Stat(); err == nil && st.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	b, _ := io.ReadAll(io.LimitReader(f, most))
	return string(b)
}
