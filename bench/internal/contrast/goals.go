package contrast

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

const small = 10 // MiB

// Plan says how much is measured.
type Plan struct {
	Kills      int `json:"kills"`       // of each kind, with primaries of 10 MiB
	LargeKills int `json:"large_kills"` // with large primaries
	LargeMiB   int `json:"large_mib"`   // how large
}

// fault is a kind of outage, and what was measured of it.
type fault struct {
	name   string
	strike func(ctx context.Context, after time.Duration) (outage, error)
	gaps   *figures.Times
}

// Run measures all kinds of faults, with primaries of two sizes.
func Run(ctx context.Context, w *world.World, r *figures.Report, p Plan, progress func(done, all int, what string)) error {
	gaps := map[string]*fault{}
	for _, size := range []struct{ mib, kills int }{{small, p.Kills}, {p.LargeMiB, p.LargeKills}} {
		if size.kills == 0 {
			continue
		}
		// Members of that size: two of the pair, a new backup while the old primary is being cleared away, and one of a bare pair.
		if why := world.NoRoom(4 * size.mib); why != "" {
			r.Note("gaps with primaries of %d MiB %s", size.mib, why)
			continue
		}
		if err := takeovers(ctx, w, r, size.mib, size.kills, gaps, progress); err != nil {
			return err
		}
	}
	if len(gaps) > 0 {
		compareTakeovers(r, gaps, p.LargeMiB)
	}
	return nil
}

// takeovers measures all kinds of faults with primaries of one size.
func takeovers(ctx context.Context, w *world.World, r *figures.Report, mib, kills int, into map[string]*fault, progress func(done, all int, what string)) error {
	started, err := subject.Start(ctx, w, fmt.Sprintf("pair-%d", mib), subject.Config{TouchMiB: mib})
	if err != nil {
		return err
	}
	t := &pairUnderTest{started}
	defer t.Stop(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { _ = t.Conn.Close() })()
	ph := &phases{}
	faults := []*fault{
		{name: "pair, SIGKILL", strike: ph.follow(t, t.kill)},
		{name: "bare pair, SIGKILL", strike: killBare(w, subject.ByFutex, mib)},
		{name: "bare pair that waits for end-of-file, SIGKILL", strike: killBare(w, subject.ByEndOfFile, mib)},
	}
	if mib == small {
		faults = append(faults, &fault{name: "pair, panic in a handler", strike: t.panics}, &fault{name: "pair, planned switch", strike: t.switches})
	}
	for _, f := range faults {
		f.gaps = figures.NewTimes()
		into[key(f.name, mib)] = f
	}
	for n := range kills {
		progress(n, kills, fmt.Sprintf("faults beside a bare pair, %d MiB", mib))
		for _, i := range w.Rand.Perm(len(faults)) {
			f := faults[i]
			if err := f.once(ctx, w, r, mib); err != nil {
				return fmt.Errorf("%s: %w", key(f.name, mib), err)
			}
		}
	}
	for _, f := range faults {
		r.Row(f.gaps.Row("gap of " + key(f.name, mib)))
	}
	ph.report(r, fmt.Sprintf(" of %d MiB", mib))
	return nil
}

func key(name string, mib int) string { return fmt.Sprintf("%s, %d MiB", name, mib) }

// once measures one fault; a void measurement is done once more.
func (f *fault) once(ctx context.Context, w *world.World, r *figures.Report, mib int) error {
	for range 3 {
		o, err := f.strike(ctx, runUp+time.Duration(w.Rand.Int64N(int64(2*runUp))))
		if err != nil {
			return err
		}
		if !o.void() {
			f.gaps.Add(o.gap)
			return nil
		}
		r.Voided("%s: %d replies before the fault, at least %d make a measurement", key(f.name, mib), o.before, leastRunUp)
	}
	return nil
}

// killBare kills the primary of a new bare pair.
func killBare(w *world.World, notice string, mib int) func(context.Context, time.Duration) (outage, error) {
	return func(ctx context.Context, after time.Duration) (outage, error) {
		b, err := subject.StartBare(ctx, w, notice, mib)
		if err != nil {
			return outage{}, err
		}
		defer b.Close()
		defer context.AfterFunc(ctx, b.Hangup)()
		world.Pause(ctx, 20*time.Millisecond)
		return observe(ctx, after, b.Call, func() error { return b.Primary.Signal(unix.SIGKILL) })
	}
}

// compareTakeovers prints what the issue asks for.
func compareTakeovers(r *figures.Report, faults map[string]*fault, large int) {
	p50 := func(name string, mib int) float64 {
		f := faults[key(name, mib)]
		if f == nil || f.gaps.N() == 0 {
			return 0
		}
		return float64(f.gaps.At(50))
	}
	compare := func(name string, over, under, goal float64) {
		switch {
		case over == 0 || under == 0:
			r.Note("not measured: %s", name)
		case goal == 0:
			r.Info(name, over/under)
		default:
			r.AtMost(name, over/under, goal, "")
		}
	}
	kill, size := p50("pair, SIGKILL", small), fmt.Sprintf("%d MiB", large)
	if large%1024 == 0 {
		size = fmt.Sprintf("%d GiB", large/1024)
	}
	compare("gap (p50) after SIGKILL, 10 MiB, pair / bare pair", kill, p50("bare pair, SIGKILL", small), 2)
	compare("gap (p50) after SIGKILL, "+size+", pair / bare pair", p50("pair, SIGKILL", large), p50("bare pair, SIGKILL", large), 0)
	compare("gap (p50) after SIGKILL, pair, "+size+" / 10 MiB", p50("pair, SIGKILL", large), kill, 3)
	const eof = "bare pair that waits for end-of-file, SIGKILL"
	compare("gap (p50) after SIGKILL, waiting for end-of-file, "+size+" / 10 MiB", p50(eof, large), p50(eof, small), 0)
	compare("gap (p50) after SIGKILL, "+size+", waiting for end-of-file / pair", p50(eof, large), p50("pair, SIGKILL", large), 0)
	compare("gap (p50), pair, panic in a handler / SIGKILL", p50("pair, panic in a handler", small), kill, 2)
	compare("gap (p50), pair, planned switch / SIGKILL", p50("pair, planned switch", small), kill, 1)
}
