package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// How long requests wait while a new backup is filled: against the same load, for the same time, without filling.

// openLoop makes requests at a fixed rate, whatever becomes of the ones before.
type openLoop struct {
	waits *times // from when a request was made to its reply
	late  *times // how late this process was to make it
	worst span   // of the longest wait
}

// span is a stretch of time.
type span struct{ from, to time.Time }

func (s span) length() time.Duration { return s.to.Sub(s.from) }

// run goes on until stop is closed.
func (l *openLoop) run(ctx context.Context, rate int, one func() error, stop <-chan struct{}) error {
	l.waits, l.late = newTimes(), newTimes()
	const callers = 64
	made := make(chan time.Time, 1<<16)
	var mu sync.Mutex
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			mine, worst := newTimes(), span{}
			for at := range made {
				if err := one(); err != nil {
					failed.Store(&err)
				}
				wait := span{at, time.Now()}
				mine.add(wait.length())
				if wait.length() > worst.length() {
					worst = wait
				}
			}
			mu.Lock()
			defer mu.Unlock()
			l.waits.merge(mine)
			if worst.length() > l.worst.length() {
				l.worst = worst
			}
		})
	}
	wg.Go(func() {
		defer close(made)
		l.pace(ctx, time.Second/time.Duration(rate), made, stop)
	})
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}

// pace sleeps in the kernel, for Go's own timers are a millisecond late, and makes up for requests it is late with at once.
func (l *openLoop) pace(ctx context.Context, period time.Duration, made chan<- time.Time, stop <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for next := time.Now(); ctx.Err() == nil; next = next.Add(period) {
		select {
		case <-stop:
			return
		default:
		}
		if left := time.Until(next); left > 0 {
			ts := unix.NsecToTimespec(int64(left))
			_ = unix.Nanosleep(&ts, nil)
		}
		now := time.Now()
		l.late.add(now.Sub(next))
		made <- now
	}
}

// fillings replaces the backup of a pair with much state, again and again, under load.
func (w *world) fillings(ctx context.Context, r *report, p takeoverPlan) error {
	if p.State == 0 || p.Fillings == 0 {
		return nil
	}
	t, err := w.startPair(ctx, "filled", pair.PrimaryComputes, false, 0)
	if err != nil {
		return err
	}
	defer t.stop(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { _ = t.conn.Close() })()
	if err := t.load(ctx, p.State); err != nil {
		return err
	}
	with, without := &loads{}, &loads{}
	var took, when values
	for range p.Fillings {
		began, d, l, err := t.fillOnce(ctx, p.Rate)
		if err != nil {
			return err
		}
		took = append(took, float64(d)/1e6)
		when = append(when, float64(l.worst.from.Sub(began))/1e6)
		with.add(l)
		if l, err = t.calmly(ctx, p.Rate, d); err != nil {
			return err
		}
		without.add(l)
	}
	r.row(took.row("from the end of the old backup to the synchronised new one", "ms"))
	r.row(when.row("from the end of the old backup to the beginning of the longest wait", "ms"))
	with.report(r, fmt.Sprintf("while a backup is filled with %d MiB", p.State))
	without.report(r, "under the same load without filling")
	var beyond values
	for i := range with.longest {
		beyond = append(beyond, with.longest[i]-without.longest[i])
	}
	r.atMost("longest wait while a backup is filled, beyond the longest in as long a time without (median of fillings)", beyond.median(), 2, "ms")
	r.figure("longest wait while a backup is filled (median of fillings)", with.longest.median(), "ms")
	r.figure("longest wait in as long a time without (median)", without.longest.median(), "ms")
	return nil
}

// loads is the sum of several runs of an openLoop.
type loads struct {
	waits, late *times
	longest     values // wait of each run, in ms
}

func (s *loads) add(l openLoop) {
	if s.waits == nil {
		s.waits, s.late = newTimes(), newTimes()
	}
	s.waits.merge(l.waits)
	s.late.merge(l.late)
	s.longest = append(s.longest, float64(l.waits.max())/1e6)
}

func (s *loads) report(r *report, when string) {
	r.row(s.waits.row("wait "+when), s.late.row("lateness of the client itself "+when), s.longest.row("longest wait of each time "+when, "ms"))
}

// load brings the service's state to so many MiB.
func (t *pairUnderTest) load(ctx context.Context, mib int) error {
	const value, each = 1 << 10, 256
	for from := uint32(0); from < uint32(mib)<<20/value; from += each {
		if _, err := receive.Call[int](ctx, t.conn, "fill", fill{From: from, N: each, Size: value}); err != nil {
			return err
		}
	}
	return nil
}

// fillOnce kills the backup and makes requests until there is a new one.
func (t *pairUnderTest) fillOnce(ctx context.Context, rate int) (began time.Time, took time.Duration, l openLoop, err error) {
	p, err := t.await(ctx, "protected", protected)
	if err != nil {
		return began, 0, l, err
	}
	old, err := member(p.Backup)
	if err != nil {
		return began, 0, l, err
	}
	defer old.Close()
	stop := make(chan struct{})
	var failed error
	go func() {
		defer close(stop)
		pause(ctx, 20*time.Millisecond)
		began = time.Now()
		if failed = old.Signal(unix.SIGKILL); failed != nil {
			return
		}
		// Looked for rarely: the same load without filling does not look at all.
		_, failed = t.w.awaitPage(ctx, t.name, 20*time.Millisecond, startWithin, "protected again", func(p *registry.Page) bool { return protected(p) && p.Backup.PID != old.ID().PID })
		took = time.Since(began)
	}()
	err = l.run(ctx, rate, t.one, stop)
	<-stop
	return began, took, l, errors.Join(err, failed)
}

// calmly makes requests for as long.
func (t *pairUnderTest) calmly(ctx context.Context, rate int, d time.Duration) (l openLoop, err error) {
	stop := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(stop) })
	defer timer.Stop()
	err = l.run(ctx, rate, t.one, stop)
	return l, err
}

func (t *pairUnderTest) one() error {
	_, err := t.call()
	return err
}
