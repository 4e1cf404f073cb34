package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// World holds everything that a run leaves outside this process: a directory, and processes. It is the ancestor that
// orphans fall to (PR_SET_CHILD_SUBREAPER): members of a pair are started by each other, and all of them end here.
type World struct {
	Options *figures.Options
	Rand    *rand.Rand // follows from the seed; of the one goroutine that measures
	Base    string     // of the run; the run directory of the pairs is in it
	Stderr  *os.File   // of every process of the run

	mu    sync.Mutex // held while children are reaped, or looked for: a pid that is looked at is not recycled
	chld  chan os.Signal
	ended chan struct{}
	exits map[int]chan unix.WaitStatus // where to tell how a child ended that somebody waits for
}

// New makes an empty world.
func New(o *figures.Options) (*World, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become the subreaper: %w", err)
	}
	base, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	errs, err := os.Create(filepath.Join(base, "stderr"))
	if err != nil {
		return nil, err
	}
	w := &World{Options: o, Rand: rand.New(rand.NewPCG(o.Seed, 0)), Base: base, Stderr: errs,
		chld: make(chan os.Signal, 1), ended: make(chan struct{}), exits: map[int]chan unix.WaitStatus{}}
	signal.Notify(w.chld, unix.SIGCHLD)
	go w.reap()
	return w, nil
}

// RunDir is the run directory of the pairs.
func (w *World) RunDir() string { return filepath.Join(w.Base, "run") }

// reap collects children as they end.
func (w *World) reap() {
	defer close(w.ended)
	for range w.chld {
		w.mu.Lock()
		for {
			var how unix.WaitStatus
			pid, err := unix.Wait4(-1, &how, unix.WNOHANG, nil)
			if pid <= 0 && !errors.Is(err, unix.EINTR) {
				break
			}
			if exit := w.exits[pid]; exit != nil {
				exit <- how
				delete(w.exits, pid)
			}
		}
		w.mu.Unlock()
	}
}

// Close ends and reaps every process of the run, removes its directory, and adds to err what the processes had to say.
func (w *World) Close(err error) error {
	signal.Stop(w.chld)
	close(w.chld)
	<-w.ended
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for _, pid := range children() {
			_ = unix.Kill(pid, unix.SIGKILL) // a child of ours that is not reaped: nobody else can have its pid
		}
		if _, werr := unix.Wait4(-1, nil, 0, nil); errors.Is(werr, unix.ECHILD) {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("%w%s", err, w.Complaints())
	}
	return errors.Join(err, w.Stderr.Close(), os.RemoveAll(w.Base))
}

// Complaints returns the end of what the processes of the run wrote to stderr.
func (w *World) Complaints() string {
	const most = 2000
	b, _ := os.ReadFile(w.Stderr.Name())
	if len(b) == 0 {
		return ""
	}
	return "\nthe processes of the run said:\n" + string(b[max(0, len(b)-most):])
}

// children lists the pids of this process's children.
func children() (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // state, ppid, …
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Spawn starts this program under a hidden verb.
func (w *World) Spawn(files []*os.File, kind string, args ...string) (*proc.Process, error) {
	args = append([]string{"bench", "process", kind, "--pprof", w.Options.Pprof}, args...)
	child, err := proc.Spawn(proc.Spec{Args: args, Env: Environment(w.RunDir()), Stderr: w.Stderr, Files: files})
	if err != nil {
		return nil, err
	}
	return proc.Open(child.ID())
}

// Environment is that of the processes that take part: with a run directory of ours.
func Environment(runDir string) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TANDEM_") }) // the first one would count
	return append(env, "TANDEM_DIR="+runDir)
}

// SpawnAndHear starts a process that says on its standard output when it is ready.
func (w *World) SpawnAndHear(ctx context.Context, files []*os.File, kind string, args ...string) (*proc.Process, error) {
	r, wr, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p, err := w.Spawn(append(files, wr), kind, args...)
	_ = wr.Close()
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now()) })()
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("a process of kind %s does not start: %w", kind, err)
	}
	return p, nil
}

// Ready is said by a process that was started with SpawnAndHear: on the last of its files.
func Ready(fd int) error {
	_, err := unix.Write(fd, []byte{1})
	return errors.Join(err, unix.Close(fd))
}

// AwaitPage waits until what the registry says of a pair fulfils a condition.
func (w *World) AwaitPage(ctx context.Context, name string, every, within time.Duration, what string, ok func(*registry.Page) bool) (registry.Page, error) {
	return AwaitPage(ctx, w.RunDir(), name, every, within, what, ok)
}

// AwaitPage waits until what the registry in a run directory says of a pair fulfils a condition.
func AwaitPage(ctx context.Context, runDir, name string, every, within time.Duration, what string, ok func(*registry.Page) bool) (registry.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		p, err := registry.Read(runDir, name)
		if err == nil && ok(&p) {
			return p, nil
		}
		select {
		case <-ctx.Done():
			return p, fmt.Errorf("%s: not %s within %v: %w", name, what, within, ctx.Err())
		case <-time.After(every):
		}
	}
}

// Pause waits, unless the run is interrupted.
func Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// StartWithin is how long a pair of large processes may take to be complete on a busy machine.
const StartWithin = 30 * time.Second
