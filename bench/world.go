package main

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

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// world holds everything that a run leaves outside this process: a directory, and processes. It is the ancestor that
// orphans fall to (PR_SET_CHILD_SUBREAPER): members of a pair are started by each other, and all of them end here.
type world struct {
	o    *options
	rng  *rand.Rand
	base string // of the run; the run directory of the pairs is in it
	errs *os.File

	mu    sync.Mutex // held while children are reaped, or looked for: a pid that is looked at is not recycled
	chld  chan os.Signal
	ended chan struct{}
	exits map[int]chan unix.WaitStatus // where to tell how a child ended that somebody waits for
}

func newWorld(o *options) (*world, error) {
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
	w := &world{o: o, rng: rand.New(rand.NewPCG(o.Seed, 0)), base: base, errs: errs,
		chld: make(chan os.Signal, 1), ended: make(chan struct{}), exits: map[int]chan unix.WaitStatus{}}
	signal.Notify(w.chld, unix.SIGCHLD)
	go w.reap()
	return w, nil
}

func (w *world) runDir() string { return filepath.Join(w.base, "run") }

// reap collects children as they end.
func (w *world) reap() {
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

// close ends and reaps every process of the run, removes its directory, and adds to err what the processes had to say.
func (w *world) close(err error) error {
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
		err = fmt.Errorf("%w%s", err, w.complaints())
	}
	return errors.Join(err, w.errs.Close(), os.RemoveAll(w.base))
}

// complaints returns the end of what the processes of the run wrote to stderr.
func (w *world) complaints() string {
	const most = 2000
	b, _ := os.ReadFile(w.errs.Name())
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

// spawn starts this program under a hidden verb.
func (w *world) spawn(files []*os.File, kind string, args ...string) (*proc.Process, error) {
	args = append([]string{"bench", "process", kind, "--pprof", w.o.Pprof}, args...)
	child, err := proc.Spawn(proc.Spec{Args: args, Env: environment(w.runDir()), Stderr: w.errs, Files: files})
	if err != nil {
		return nil, err
	}
	return proc.Open(child.ID())
}

// environment is that of the processes that take part: with a run directory of ours.
func environment(runDir string) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TANDEM_") }) // the first one would count
	return append(env, "TANDEM_DIR="+runDir)
}

// spawnAndHear starts a process that says on its standard output when it is ready.
func (w *world) spawnAndHear(ctx context.Context, files []*os.File, kind string, args ...string) (*proc.Process, error) {
	r, wr, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p, err := w.spawn(append(files, wr), kind, args...)
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

// ready is said by a process that was started with spawnAndHear: on the last of its files.
func ready(fd int) error {
	_, err := unix.Write(fd, []byte{1})
	return errors.Join(err, unix.Close(fd))
}

// awaitPage waits until what the registry says of a pair fulfils a condition.
func (w *world) awaitPage(ctx context.Context, name string, every, within time.Duration, what string, ok func(*registry.Page) bool) (registry.Page, error) {
	return awaitPage(ctx, w.runDir(), name, every, within, what, ok)
}

func awaitPage(ctx context.Context, runDir, name string, every, within time.Duration, what string, ok func(*registry.Page) bool) (registry.Page, error) {
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

// pause waits, unless the run is interrupted.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
