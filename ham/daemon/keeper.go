package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// ErrKept means that another keeper keeps HAM in the run directory.
var ErrKept = errors.New("HAM is kept by another process")

// keeper is the small process above HAM: all it does is to be there. It holds no state that would be missed; without it HAM goes on, and
// the next keeper finds it.
type keeper struct {
	cfg  Config
	root string
	log  *slog.Logger

	begun    time.Time     // when HAM was started last; zero: it was not
	before   string        // instance that was there then
	first    proc.ID       // the half that was started then: it is not on the page at once
	delay    time.Duration // before it is started again
	instance string        // that the entities were declared to
	declared chan error    // outcome of a declaration that is under way; nil: none is
	stopping time.Time     // when everything was to be stopped; zero: it is not
	asked    string        // instance that has been asked to stop
	asking   chan error    // outcome of that; nil: it is not being asked
	ending   chan error    // outcome of asking HAM to end the one entity; nil: it was not asked
	exit     int
	signals  []syscall.Signal // that wait to be passed on
}

const (
	keepEvery = 100 * time.Millisecond // between two looks
	minDelay  = 100 * time.Millisecond // before HAM is started again
	maxDelay  = 10 * time.Second
	beginsIn  = 10 * time.Second // a half that has been started shows itself within this time
	healthyIn = 10 * time.Second // HAM that has lived so long is started again at once
	stopEnds  = 2 * time.Minute  // after it was asked to stop everything
)

// Keep starts HAM and stays until it has been stopped: by its verb, by SIGTERM or SIGINT to this process, or by the end of ctx. Should
// both halves of HAM die it starts them again, after growing delays; HAM then goes on with what it watched. The process becomes
// the one that inherits the orphans below it, and reaps them; so it is fit to be process 1 of a container. exit is 0, or that of the
// entity Config.Once, which SIGTERM and SIGINT stop then; a second one stops HAM at once. One process keeps HAM in a run directory: ErrKept.
func Keep(ctx context.Context, c Config) (exit int, err error) {
	k := &keeper{cfg: c, log: c.Logger, root: c.RunDir}
	if k.log == nil {
		k.log = slog.Default()
	}
	unlock, err := k.open()
	if err != nil {
		return 1, fmt.Errorf("cannot keep HAM: %w", err)
	}
	defer unlock()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, fmt.Errorf("cannot keep HAM: cannot become the parent of orphans: %w", err)
	}
	if err := k.run(ctx); err != nil {
		return 1, fmt.Errorf("cannot keep HAM: %w", err)
	}
	return k.exit, nil
}

// open makes the directories and locks HAM's.
func (k *keeper) open() (unlock func(), err error) {
	if k.root == "" {
		if k.root, err = registry.Root(); err != nil {
			return nil, err
		}
	}
	d, err := registry.Open(k.root, talk.Pair)
	if err != nil {
		return nil, err
	}
	_ = d.Close()
	if k.cfg.Door != "" {
		if err := os.MkdirAll(k.cfg.Door, 0o755); err != nil {
			return nil, fmt.Errorf("cannot make the door: %w", err)
		}
	}
	f, err := os.OpenFile(filepath.Join(k.root, talk.Pair, "keeper"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrKept
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

func (k *keeper) run(ctx context.Context) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGCHLD, unix.SIGUSR1, unix.SIGUSR2, unix.SIGQUIT, unix.SIGWINCH)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	work := context.WithoutCancel(ctx) // the end of ctx asks HAM to stop, and that is asked of HAM
	for {
		if done, err := k.look(work); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			k.stop()
			ctx = work
		case sig := <-signals:
			k.signalled(work, sig.(syscall.Signal))
		case err := <-k.declared:
			k.declared = nil
			if err != nil {
				k.log.Error("not all is watched that was to be", "cause", err)
			}
		case err := <-k.asking:
			k.asking = nil
			if err != nil { // it is gone, or will be asked again
				k.log.Warn("cannot ask HAM to stop", "cause", err)
				k.asked = ""
			}
		case err := <-k.ending:
			if err != nil { // it does not run
				k.stop()
			}
		case <-tick.C:
			k.passOn(work)
			k.checkOnce(work)
		}
	}
}

// look starts HAM if none of its halves lives. It reports whether HAM has been stopped.
func (k *keeper) look(ctx context.Context) (done bool, err error) {
	reap()
	page, up := k.page()
	if !up {
		page, up = k.page() // its last words, if they came after they were looked for
	}
	stopping := !k.stopping.IsZero()
	switch {
	case up && stopping:
		k.askToStop(ctx, page.Instance)
	case up:
		if page.Instance != k.instance && k.declared == nil {
			k.instance = page.Instance
			k.declare(ctx, k.cfg.Entities)
		}
	case page.Stopped && k.knows(page.Instance):
		return true, nil
	case stopping && k.begun.IsZero() && k.instance == "":
		return true, nil // there never was one
	case k.first.PID != 0 && k.first.Alive() && time.Since(k.begun) < beginsIn:
	case time.Since(k.begun) > k.delay:
		return false, k.start(page.Instance)
	}
	if stopping && time.Since(k.stopping) > stopEnds {
		return true, fmt.Errorf("HAM has not stopped everything within %v", stopEnds)
	}
	return false, nil
}

// knows tells an instance of this keeper's time from one that was stopped before it.
func (k *keeper) knows(instance string) bool {
	return instance == k.instance || instance == k.asked || !k.begun.IsZero() && instance != k.before
}

// page returns the page of HAM, and whether a half of it lives.
func (k *keeper) page() (page registry.Page, up bool) {
	page, err := registry.Read(k.root, talk.Pair)
	if err != nil {
		return registry.Page{}, false
	}
	return page, lives(page.Primary) || lives(page.Backup)
}

func lives(m *registry.Member) bool {
	return m != nil && proc.ID{PID: m.PID, Start: m.Start}.Alive()
}

// start starts HAM's first half, in a session of its own: what is typed at the keeper's terminal is not for HAM.
func (k *keeper) start(before string) error {
	b, err := json.Marshal(HalfConfig{RunDir: k.root, Door: k.cfg.Door, Quiet: k.cfg.Quiet, Profile: k.cfg.Profile})
	if err != nil {
		return err
	}
	k.delay = min(max(2*k.delay, minDelay), maxDelay)
	if !k.begun.IsZero() {
		if time.Since(k.begun) > healthyIn {
			k.delay = minDelay
		}
		k.log.Warn("both halves of HAM are gone: it is started again")
	}
	k.begun, k.before = time.Now(), before
	p, err := os.StartProcess("/proc/self/exe", []string{halfName, string(b)}, &os.ProcAttr{
		Files: []*os.File{nil, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		k.log.Error("cannot start HAM", "cause", err)
		return nil // again after the delay
	}
	k.first, _ = proc.Identify(p.Pid) // an error: it is gone already
	return p.Release()                // reap takes its status
}

// reap takes the status of every child that has ended: halves of HAM, and orphans of theirs.
func reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}

// signalled does what a signal to the keeper asks for.
func (k *keeper) signalled(ctx context.Context, sig syscall.Signal) {
	switch {
	case sig == unix.SIGCHLD:
	case sig == unix.SIGTERM || sig == unix.SIGINT:
		if k.cfg.Once != "" && k.ending == nil {
			k.end(ctx)
		} else {
			k.stop()
		}
	case k.cfg.Once != "":
		if len(k.signals) < mostSignals {
			k.signals = append(k.signals, sig)
		}
		k.passOn(ctx)
	case sig == unix.SIGHUP && k.cfg.Reload != nil:
		specs, err := k.cfg.Reload(ctx)
		if err != nil {
			k.log.Error("cannot reload: everything stays as it was", "cause", err)
			return
		}
		if k.declared != nil {
			k.log.Warn("cannot reload: a declaration is under way")
			return
		}
		k.cfg.Entities = specs
		k.declare(ctx, specs)
	}
}

// mostSignals bounds the signals that wait for a process.
const mostSignals = 64

// passOn sends the one entity the signals that have come for it. Those that come while it has no process, or while HAM does not know of
// it yet, wait for that.
func (k *keeper) passOn(ctx context.Context) {
	if len(k.signals) == 0 {
		return
	}
	e := k.once(ctx)
	if e == nil || !e.Alive() {
		return
	}
	if p, err := proc.Open(proc.ID{PID: e.Process.PID, Start: e.Process.Start}); err == nil {
		for _, sig := range k.signals {
			_ = p.Signal(sig) // an error: it has just ended
		}
		_ = p.Close()
	}
	k.signals = nil
}

// end has the one entity ended, so that its status will be known before HAM is stopped.
func (k *keeper) end(ctx context.Context) {
	done := make(chan error, 1)
	k.ending = done
	entity := core.Handle{Path: core.Path{Entity: k.cfg.Once}}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, stopEnds)
		defer cancel()
		done <- ask(ctx, k.root, core.Request{Control: &core.Control{Path: entity, Verb: core.StopProcess}})
	}()
}

// stop has everything stopped, and then HAM.
func (k *keeper) stop() {
	if k.stopping.IsZero() {
		k.stopping, k.delay = time.Now(), minDelay
	}
}

// askToStop asks HAM to stop what it runs, and itself: each instance once, for should both halves die before they have done so
// another one has to.
func (k *keeper) askToStop(ctx context.Context, instance string) {
	if k.asked == instance || k.asking != nil {
		return
	}
	done := make(chan error, 1)
	k.asked, k.asking = instance, done
	go func() {
		ctx, cancel := context.WithTimeout(ctx, stopEnds)
		defer cancel()
		done <- ask(ctx, k.root, core.Request{Control: &core.Control{Verb: core.StopAll}})
	}()
}

// declare tells HAM what it is to watch.
func (k *keeper) declare(ctx context.Context, specs []core.EntitySpec) {
	if len(specs) == 0 {
		return
	}
	requests := make([]core.Request, len(specs))
	for i := range specs {
		requests[i] = core.Request{Declare: &core.Declare{Entity: &specs[i], Exact: true}}
	}
	done := make(chan error, 1)
	k.declared = done
	go func() {
		ctx, cancel := context.WithTimeout(ctx, stopEnds)
		defer cancel()
		done <- ask(ctx, k.root, requests...)
	}()
}

// checkOnce stops HAM when the one entity it is kept for has ended for good.
func (k *keeper) checkOnce(ctx context.Context) {
	if k.cfg.Once == "" || !k.stopping.IsZero() || k.instance == "" || k.declared != nil {
		return
	}
	e := k.once(ctx)
	if e == nil {
		return
	}
	switch e.Process.Phase {
	case core.Stopped, core.Failed:
	case core.Idle:
		if e.Deaths == 0 {
			return // it has not been started yet
		}
	default:
		return
	}
	k.exit = exitStatus(e.LastExit)
	k.stop()
}

// once returns the entity that HAM is kept for, nil if HAM does not tell now.
func (k *keeper) once(ctx context.Context) *core.Entity {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var e *core.Entity
	_ = talk.Read(ctx, filepath.Join(k.root, talk.Pair, talk.ReadSocket), talk.Query{Op: talk.OpEntities, Names: []string{k.cfg.Once}}, func(l talk.Line) bool {
		if l.Entity != nil {
			e = l.Entity
		}
		return true
	})
	return e
}

// exitStatus is how a shell would tell it.
func exitStatus(x *core.Exit) int {
	switch {
	case x == nil || !x.Known:
		return 1
	case x.Signal != 0:
		return 128 + x.Signal
	}
	return x.Code
}
