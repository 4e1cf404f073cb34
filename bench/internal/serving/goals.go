package serving

import (
	"context"
	"fmt"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/pair"
)

// contend has all contenders take turns, and prints what is promised.
func contend(ctx context.Context, w *world.World, r *figures.Report, p Plan, progress func(done, all int, what string)) error {
	var all []*contender
	for mode := pair.PrimaryComputes; mode <= pair.BackupEager; mode++ {
		for _, alone := range []bool{true, false} {
			c, stop, err := startContender(ctx, w, mode, alone)
			if err != nil {
				return err
			}
			defer stop()
			all = append(all, c...)
		}
	}
	echo, err := startEcho(ctx, w)
	if err != nil {
		return err
	}
	defer echo.close()
	all = append(all, echo.contenders()...)
	for round := -1; round < p.Rounds; round++ { // the first one warms up
		progress(round+1, p.Rounds+1, "service beside a bare echo server")
		for i := range all {
			c := all[(i+round+1)%len(all)]
			if round < 0 {
				c.reset() // there must be something to add to
			}
			if err := c.round(ctx, p.Slice); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round < 0 {
				c.reset()
			}
		}
	}
	reportServe(r, all)
	return nil
}

func reportServe(r *figures.Report, all []*contender) {
	by := map[string]*contender{}
	for _, c := range all {
		by[c.name] = c
		if c.one != nil {
			r.Row(c.waits.Row("wait of " + c.name))
		}
	}
	for _, c := range all {
		r.Row(c.rate.Row("rate of "+c.name, "req/s"))
	}
	for mode := pair.PrimaryComputes; mode <= pair.BackupEager; mode++ {
		protected, alone := by["put, "+mode.String()+", pair"], by["put, "+mode.String()+", no backup"]
		r.AtMost(mode.String()+": wait (p50) of a put, pair / no backup", figures.Ratios(protected.median, alone.median).Median(), 1.15, "")
		r.AtLeast(mode.String()+": rate of puts, pair / no backup", figures.Ratios(protected.rate, alone.rate).Median(), .85)
	}
	bare, called := by[bareEcho], by[bareCallers]
	for mode := pair.PrimaryComputes; mode <= pair.BackupEager; mode++ {
		c := by["echo, "+mode.String()+", pair"]
		r.AtLeast(mode.String()+": rate of echoes, pair / bare echo", figures.Ratios(c.rate, bare.rate).Median(), .8)
		r.Info(mode.String()+": rate of echoes, pair / bare echo with as many calling goroutines", figures.Ratios(c.rate, called.rate).Median())
		r.Info(mode.String()+": wait (p50) of an echo, pair / bare echo", figures.Ratios(c.median, bare.median).Median())
	}
	r.Note("rates are with %d requests in flight on one connection; ratios are medians over the rounds", inFlight)
}
