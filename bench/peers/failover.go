package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	runUp  = 20 * time.Millisecond // of additions before a kill, at least; at most twice as long
	checks = 10                    // additions after it, for the count
)

// kill is one kill -9, and what the client saw of it.
type kill struct {
	Round   int   `json:"round"`
	NS      int64 `json:"ns"`      // from the moment before the signal to the next acknowledgement by another process
	Before  int   `json:"before"`  // acknowledged during the run-up
	Lost    int64 `json:"lost"`    // acknowledged, and missing now; since the kill before this one
	Doubled int64 `json:"doubled"` // there, and not acknowledged: under way at a kill, and tried again
}

// trial is a contestant, and what happened to it.
type trial struct {
	entry
	contestant
	quota int   // of kills
	count int64 // after the last acknowledged addition
	kills []kill
	voids []string
	err   error // after which it was left alone
	lost  int64 // since the last kill that was recorded
	twice int64
}

// failover kills those who serve, in rounds in which each contestant has its turn. One that fails has no more of them.
func failover(ctx context.Context, w *world, trials []*trial, rounds int, progress func(string, ...any)) error {
	for round := range rounds {
		for _, i := range w.rng.Perm(len(trials)) {
			t := trials[i]
			after := runUp + time.Duration(w.rng.Int64N(int64(runUp)))
			if t.err != nil || (round+1)*t.quota/rounds == round*t.quota/rounds {
				continue
			}
			t.err = t.once(ctx, round, after)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		progress("failover: round %d of %d", round+1, rounds)
	}
	return nil
}

// startAll starts contestants, all at the same time, and waits until each can survive a kill.
func startAll(ctx context.Context, trials []*trial) error {
	var wg sync.WaitGroup
	errs := make([]error, len(trials))
	for i, t := range trials {
		wg.Go(func() {
			err := t.Start(ctx)
			if err == nil {
				_, err = t.Serving(ctx)
			}
			if err != nil {
				errs[i] = fmt.Errorf("cannot start %s: %w", t.name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// once measures one kill. What is void is done again, at most twice.
func (t *trial) once(ctx context.Context, round int, after time.Duration) error {
	for range 3 {
		k, err := t.strike(ctx, after)
		if errors.Is(err, errVoid) {
			t.voids = append(t.voids, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		k.Round = round
		t.kills = append(t.kills, k)
		return nil
	}
	return nil
}

var errVoid = errors.New("void")

// strike kills the process that serves while the client adds.
func (t *trial) strike(ctx context.Context, after time.Duration) (k kill, err error) {
	pid, err := t.Serving(ctx)
	if err != nil {
		return k, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	by, err := t.one(ctx) // also opens the connection
	if err != nil {
		return k, err
	}
	if by != pid {
		return k, fmt.Errorf("%w: process %d answers, and not %d", errVoid, by, pid)
	}
	hit := killAfter(pid, after)
	var acknowledged time.Time
	for {
		if by, err = t.one(ctx); err != nil {
			return k, errors.Join(err, (<-hit).err)
		}
		if acknowledged = time.Now(); by != pid {
			break
		}
		k.Before++
	}
	h := <-hit
	if h.err != nil {
		return k, h.err
	}
	if acknowledged.Before(h.at) {
		return k, fmt.Errorf("%w: somebody else served before the kill", errVoid)
	}
	for range checks {
		if _, err := t.one(ctx); err != nil {
			return k, err
		}
	}
	k.NS, k.Lost, k.Doubled = int64(acknowledged.Sub(h.at)), t.lost, t.twice
	t.lost, t.twice = 0, 0
	return k, nil
}

// one makes one addition and holds the count against the one before.
func (t *trial) one(ctx context.Context) (by int, err error) {
	n, by, err := t.Add(ctx)
	if err != nil {
		return by, err
	}
	t.lost += max(t.count+1-n, 0)
	t.twice += max(n-t.count-1, 0)
	t.count = n
	return by, nil
}

// blow is a signal that was sent.
type blow struct {
	at  time.Time // the moment before
	err error
}

// killAfter kills a process a while from now, from a thread of its own.
func killAfter(pid int, after time.Duration) <-chan blow {
	hit := make(chan blow, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		time.Sleep(after)
		b := blow{at: time.Now()}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			b.err = fmt.Errorf("cannot kill process %d: %w", pid, err)
		}
		hit <- b
	}()
	return hit
}
