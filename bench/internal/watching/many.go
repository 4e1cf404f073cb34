package watching

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/ham"
)

// What it costs to watch many processes at which nothing happens: HAM, both its halves, beside a program that holds no more than a pidfd
// of each.

func measureMany(ctx context.Context, w *world.World, r *figures.Report, p plan) (err error) {
	c, err := gather(ctx, w, p.Entities)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.disperse(ctx)) }()
	bare, err := watchBare(ctx, w, c)
	if err != nil {
		return err
	}
	defer bare.close()
	h, err := startHAM(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop(ctx)) }()
	empty, err := h.halves(ctx)
	if err != nil {
		return err
	}
	defer empty.close()
	before, _, err := empty.memory()
	if err != nil {
		return err
	}
	began := time.Now()
	err = inParallel(ctx, len(c.pids), func(ctx context.Context, i int) error {
		return h.attach(ctx, "crowd-"+fmt.Sprint(i), c.pids[i])
	})
	if err != nil {
		return err
	}
	r.Figure(fmt.Sprintf("attached, of %d entities, each with a condition and an action", p.Entities), float64(p.Entities)/time.Since(began).Seconds(), "per second")
	return h.costsOfMany(ctx, r, p, bare, before)
}

// costsOfMany tells what HAM costs now.
func (h *hamUnderTest) costsOfMany(ctx context.Context, r *figures.Report, p plan, bare processes, before []float64) error {
	ps, err := h.halves(ctx)
	if err != nil {
		return err
	}
	defer ps.close()
	world.Pause(ctx, p.Rest)
	loads, err := inTurns(ctx, p.Idle, ps, bare)
	if err != nil {
		return err
	}
	pss, rss, err := ps.memory()
	if err != nil {
		return err
	}
	bareSize, _, err := bare.memory()
	if err != nil {
		return err
	}
	n := fmt.Sprintf("with %d entities attached: ", p.Entities)
	r.AtMost(n+"memory of HAM and its guardian (PSS)", total(pss), 100, "MB")
	r.Figure(n+"of these, HAM", pss[0], "MB")
	r.Figure(n+"of these, its guardian", pss[1], "MB")
	r.Figure(n+"resident set of HAM (RSS)", rss[0], "MB")
	r.Figure(n+"resident set of its guardian (RSS)", rss[1], "MB")
	r.Figure(n+"memory of a bare watcher (PSS)", total(bareSize), "MB")
	r.Figure("without entities: memory of HAM and its guardian (PSS)", total(before), "MB")
	r.AtMost(n+"processor time of HAM and its guardian, idle", loads[0], 1, "% of a core")
	r.Figure(n+"processor time of a bare watcher, idle", loads[1], "% of a core")
	return nil
}

// attach has HAM watch a process that runs: at its death a line is to be written.
func (h *hamUnderTest) attach(ctx context.Context, name string, pid int) error {
	e := ham.Entity{Name: name, Settings: &ham.Settings{}, Conditions: []ham.Condition{
		{Name: "death", On: ham.OnDeath, Flags: ham.NoWait, Actions: []ham.Action{{Name: "log", Log: &ham.Log{Text: "it died"}}}}}}
	if _, err := h.client.Declare(ctx, ham.Declare{Entity: &e}); err != nil {
		return err
	}
	_, err := h.client.Attach(ctx, ham.Attach{Entity: name, PID: pid})
	return err
}

// askers is how many requests are under way at once.
const askers = 16

// inParallel calls f for 0 to n-1.
func inParallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for k := range askers {
		all.Go(func() {
			for i := k; i < n && ctx.Err() == nil; i += askers {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
