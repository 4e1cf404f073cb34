package watching

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/ham"
)

// How soon a death is noticed, and how soon the program runs again: by HAM, and by a watcher that can do nothing else. The two take
// turns, each with a program of its own.

// notice is one of the two, and what was measured of it.
type notice struct {
	name                   string
	kill                   func(ctx context.Context, pid int) (sighting, error)
	pid                    int // of its program
	noticed, told, running *figures.Times
}

// sighting is one death, and when it was seen: CLOCK_MONOTONIC.
type sighting struct {
	died    time.Duration // right before the SIGKILL
	noticed time.Duration
	told    time.Duration // to a client that follows what happens; 0: there is none
}

const (
	settling = 15 * time.Millisecond // between two deaths of a side, at least; at most twice as long
	dieIn    = 10 * time.Second      // a death is noticed, and the program runs again
)

func measureNotice(ctx context.Context, w *world.World, r *figures.Report, p plan) (err error) {
	began := make(chan begun, 1)
	programs, err := newPrograms(w, func(x begun) { began <- x })
	if err != nil {
		return err
	}
	defer programs.close()
	h, err := startHAM(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop(ctx)) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	byHAM, err := h.watchProgram(ctx, programs)
	if err != nil {
		return err
	}
	bare, err := newBareWatcher(programs.command("bare"))
	if err != nil {
		return err
	}
	defer bare.close()
	sides := []*notice{{name: "HAM", kill: byHAM}, {name: "a bare watcher", kill: bare.kill}}
	for _, n := range sides { // each has been started by now
		n.noticed, n.told, n.running = figures.NewTimes(), figures.NewTimes(), figures.NewTimes()
		x, err := within(ctx, dieIn, began)
		if err != nil {
			return fmt.Errorf("the first programs do not run: %w", err)
		}
		sides[map[string]int{"ham": 0, "bare": 1}[x.name]].pid = x.pid
	}
	for range p.Deaths {
		for _, i := range w.Rand.Perm(len(sides)) {
			world.Pause(ctx, settling+time.Duration(w.Rand.Int64N(int64(settling))))
			if err := sides[i].once(ctx, began); err != nil {
				return fmt.Errorf("%s: %w", sides[i].name, err)
			}
		}
	}
	for _, n := range sides {
		r.Row(n.noticed.Row("death noticed by "+n.name), n.running.Row("program runs again, started by "+n.name))
	}
	r.Row(sides[0].told.Row("death told by HAM to a client that follows"))
	r.AtMost("death noticed by HAM / by a bare watcher, p50", p50(sides[0].noticed, sides[1].noticed), 1.5, "")
	r.Info("program runs again, started by HAM / by a bare watcher, p50", p50(sides[0].running, sides[1].running))
	return nil
}

// p50 compares two medians.
func p50(over, under *figures.Times) float64 {
	return float64(over.At(50)) / float64(max(under.At(50), 1))
}

// within receives what comes in time.
func within[T any](ctx context.Context, d time.Duration, from <-chan T) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case v = <-from:
		return v, nil
	case <-ctx.Done():
		return v, fmt.Errorf("nothing within %v: %w", d, ctx.Err())
	}
}

// once has the program die and come back.
func (n *notice) once(ctx context.Context, began <-chan begun) error {
	seen, err := n.kill(ctx, n.pid)
	if err != nil {
		return err
	}
	x, err := within(ctx, dieIn, began)
	if err != nil {
		return fmt.Errorf("the program does not run again: %w", err)
	}
	n.pid = x.pid
	n.noticed.Add(seen.noticed - seen.died)
	n.told.Add(seen.told - seen.died)
	n.running.Add(x.at - seen.died)
	return nil
}

// death is one of which HAM has told.
type death struct {
	ham.Happening
	told time.Duration
}

// watchProgram has HAM start a program, and start it again whenever it dies. kill kills it and returns when HAM has told of it. What is
// begun here ends with ctx.
func (h *hamUnderTest) watchProgram(ctx context.Context, programs *programs) (kill func(context.Context, int) (sighting, error), err error) {
	e := restarted("ham", programs.command("ham"))
	if _, err := h.client.Declare(ctx, ham.Declare{Entity: &e}); err != nil {
		return nil, err
	}
	deaths, failed := make(chan death, 1), make(chan error, 1)
	go func() {
		for x, err := range h.client.Follow(ctx, 0) {
			if err != nil {
				failed <- err
				return
			}
			if x.What == ham.HasDied {
				deaths <- death{x, monotonic()}
			}
		}
	}()
	return func(ctx context.Context, pid int) (sighting, error) {
		died := monotonic()
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return sighting{}, err
		}
		x, err := within(ctx, dieIn, deaths)
		if err == nil && x.PID != pid {
			err = fmt.Errorf("HAM tells of the death of %d, expected %d", x.PID, pid)
		}
		select {
		case err = <-failed:
		default:
		}
		return sighting{died, x.At, x.told}, err
	}, nil
}

// restarted is an entity that is started at once, and again whenever it dies, without delay.
func restarted(name string, argv []string) ham.Entity {
	return ham.Entity{Name: name, Flags: ham.KeepOnDeath,
		Settings: &ham.Settings{Command: ham.Command{Argv: argv}, Start: true, Restart: ham.Budget{Limit: -1, Delays: []time.Duration{0}}},
		Conditions: []ham.Condition{{Name: "death", On: ham.OnDeath, Flags: ham.RearmCondition | ham.Independent, Actions: []ham.Action{
			{Name: "restart", Flags: ham.RearmAction | ham.KeepOnFail, Restart: &ham.Restart{}}}}}}
}

// bareWatcher waits for the end of a program, with one epoll and one pidfd, and starts it again.
type bareWatcher struct {
	argv  []string
	epfd  int
	pidfd int
}

func newBareWatcher(argv []string) (b *bareWatcher, err error) {
	b = &bareWatcher{argv: argv, pidfd: -1}
	if b.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if err := b.start(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// start starts the program and watches it. Whoever reaps the orphans of this process reaps it.
func (b *bareWatcher) start() error {
	if b.pidfd >= 0 {
		_ = unix.Close(b.pidfd)
		b.pidfd = -1
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	fd := null.Fd()
	if _, _, err := syscall.StartProcess(b.argv[0], b.argv, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{fd, fd, fd},
		Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &b.pidfd}}); err != nil {
		return err
	}
	return unix.EpollCtl(b.epfd, unix.EPOLL_CTL_ADD, b.pidfd, &unix.EpollEvent{Events: unix.EPOLLIN})
}

// kill kills the program while it is watched, and returns when it has been started again.
func (b *bareWatcher) kill(ctx context.Context, pid int) (s sighting, err error) {
	seen, failed := make(chan time.Duration, 1), make(chan error, 1)
	go func() {
		noticed, err := b.watch()
		seen <- noticed
		failed <- err
	}()
	world.Pause(ctx, settling) // until it waits
	s.died = monotonic()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return s, err
	}
	if s.noticed, err = within(ctx, dieIn, seen); err == nil {
		err = <-failed
	}
	return s, err
}

// watch waits for the end of the program, once, and starts it again.
func (b *bareWatcher) watch() (noticed time.Duration, err error) {
	var events [1]unix.EpollEvent
	n, err := unix.EpollWait(b.epfd, events[:], int(dieIn.Milliseconds()))
	for err == unix.EINTR {
		n, err = unix.EpollWait(b.epfd, events[:], int(dieIn.Milliseconds()))
	}
	noticed = monotonic()
	if err == nil && n == 0 {
		err = fmt.Errorf("no death within %v", dieIn)
	}
	if err == nil {
		err = b.start()
	}
	return noticed, err
}

func (b *bareWatcher) close() {
	if b.pidfd >= 0 {
		_ = unix.Close(b.pidfd)
	}
	_ = unix.Close(b.epfd)
}
