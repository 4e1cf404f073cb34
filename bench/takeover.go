package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// What a client sees of the end of a primary: of ours, of a bare pair's, and of a program's that waits for end-of-file.
// The three alternate, each with primaries of two sizes.

const (
	small = 10      // MiB
	large = 2 << 10 // MiB
)

type takeoverPlan struct {
	Kills      int `json:"kills"`       // of each kind, with primaries of 10 MiB
	LargeKills int `json:"large_kills"` // with primaries of 2 GiB
	State      int `json:"state_mib"`   // that a new backup is filled with
	Fillings   int `json:"fillings"`
	Rate       int `json:"rate"` // requests per second while it is filled
}

func takeoverCommand(o *options) *cobra.Command {
	p := takeoverPlan{Kills: 60, LargeKills: 8, Fillings: 5, Rate: 2000}
	c := &cobra.Command{Use: "takeover", Short: "What a client sees of the end of a primary", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if o.Quick {
				p.Kills, p.LargeKills, p.Fillings = min(p.Kills, 12), min(p.LargeKills, 2), 1
			}
			return measure(o, "takeover", &p, func(ctx context.Context, w *world, r *report) error {
				return benchTakeover(ctx, w, r, p)
			})
		}}
	f := c.Flags()
	f.IntVar(&p.Kills, "kills", p.Kills, "faults of each kind, with primaries of 10 MiB")
	f.IntVar(&p.LargeKills, "large-kills", p.LargeKills, "faults with primaries of 2 GiB")
	f.IntVar(&p.State, "state", 256, "state in MiB that a new backup is filled with")
	return c
}

// fault is a kind of outage, and what was measured of it.
type fault struct {
	name   string
	strike func(ctx context.Context, after time.Duration) (outage, error)
	gaps   *times
}

func benchTakeover(ctx context.Context, w *world, r *report, p takeoverPlan) error {
	gaps := map[string]*fault{}
	for _, size := range []struct{ mib, kills int }{{small, p.Kills}, {large, p.LargeKills}} {
		if size.kills == 0 {
			continue
		}
		if err := w.takeovers(ctx, r, size.mib, size.kills, gaps); err != nil {
			return err
		}
	}
	if len(gaps) > 0 {
		compareTakeovers(r, gaps)
	}
	return w.fillings(ctx, r, p)
}

// takeovers measures all kinds of faults with primaries of one size.
func (w *world) takeovers(ctx context.Context, r *report, mib, kills int, into map[string]*fault) error {
	t, err := w.startPair(ctx, fmt.Sprintf("pair-%d", mib), pair.PrimaryComputes, false, mib)
	if err != nil {
		return err
	}
	defer t.stop(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { _ = t.conn.Close() })()
	ph := &phases{}
	faults := []*fault{
		{name: "pair, SIGKILL", strike: ph.follow(t, t.kill)},
		{name: "bare pair, SIGKILL", strike: w.killBare(byFutex, mib)},
		{name: "bare pair that waits for end-of-file, SIGKILL", strike: w.killBare(byEndOfFile, mib)},
	}
	if mib == small {
		faults = append(faults, &fault{name: "pair, panic in a handler", strike: t.panics}, &fault{name: "pair, planned switch", strike: t.switches})
	}
	for _, f := range faults {
		f.gaps = newTimes()
		into[key(f.name, mib)] = f
	}
	for range kills {
		for _, i := range w.rng.Perm(len(faults)) {
			f := faults[i]
			if err := f.once(ctx, w, r, mib); err != nil {
				return fmt.Errorf("%s: %w", key(f.name, mib), err)
			}
		}
	}
	for _, f := range faults {
		r.row(f.gaps.row("gap of " + key(f.name, mib)))
	}
	ph.report(r, fmt.Sprintf(" of %d MiB", mib))
	return nil
}

func key(name string, mib int) string { return fmt.Sprintf("%s, %d MiB", name, mib) }

// once measures one fault; a void measurement is done once more.
func (f *fault) once(ctx context.Context, w *world, r *report, mib int) error {
	for range 3 {
		o, err := f.strike(ctx, runUp+time.Duration(w.rng.Int64N(int64(2*runUp))))
		if err != nil {
			return err
		}
		if !o.void() {
			f.gaps.add(o.gap)
			return nil
		}
		r.void("%s: %d replies before the fault, at least %d make a measurement", key(f.name, mib), o.before, leastRunUp)
	}
	return nil
}

// call is one request, for observe.
func (t *pairUnderTest) call() (uint64, error) {
	_, err := receive.Call[int](context.Background(), t.conn, "put", put{Key: 1, Value: payload[:]})
	return uint64(t.conn.Epoch()), err
}

var payload [payloadSize]byte

// primary waits until the pair is protected and takes hold of its primary.
func (t *pairUnderTest) primary(ctx context.Context) (*proc.Process, error) {
	p, err := t.await(ctx, "protected", func(p *registry.Page) bool { return protected(p) && p.Epoch == t.conn.Epoch() })
	if err != nil {
		return nil, err
	}
	pause(ctx, 20*time.Millisecond) // what the last takeover left to do is not to be measured
	return member(p.Primary)
}

// kill kills the primary.
func (t *pairUnderTest) kill(ctx context.Context, after time.Duration) (outage, error) {
	p, err := t.primary(ctx)
	if err != nil {
		return outage{}, err
	}
	defer p.Close()
	return observe(ctx, after, t.call, func() error { return p.Signal(unix.SIGKILL) })
}

// panics has a handler of the primary panic.
func (t *pairUnderTest) panics(ctx context.Context, after time.Duration) (outage, error) {
	p, err := t.primary(ctx)
	if err != nil {
		return outage{}, err
	}
	defer p.Close()
	return observe(ctx, after, t.call, func() error {
		_, err := receive.Call[int](context.Background(), t.conn, "panic", panicAt{PID: p.ID().PID})
		return err
	})
}

// switches makes a planned switch. What the client sees of that begins with the last reply before it, not with the command.
func (t *pairUnderTest) switches(ctx context.Context, after time.Duration) (outage, error) {
	p, err := t.primary(ctx)
	if err != nil {
		return outage{}, err
	}
	defer p.Close()
	o, err := observe(ctx, after, t.call, func() error { return pair.Switch(ctx, t.w.runDir(), t.name) })
	o.gap = o.silence
	return o, err
}

// killBare kills the primary of a new bare pair.
func (w *world) killBare(notice string, mib int) func(context.Context, time.Duration) (outage, error) {
	return func(ctx context.Context, after time.Duration) (outage, error) {
		b, err := w.startBare(ctx, notice, mib)
		if err != nil {
			return outage{}, err
		}
		defer b.close()
		defer context.AfterFunc(ctx, func() { _ = unix.Shutdown(b.sock, unix.SHUT_RDWR) })()
		pause(ctx, 20*time.Millisecond)
		return observe(ctx, after, b.call, func() error { return b.primary.Signal(unix.SIGKILL) })
	}
}

// compareTakeovers prints what the issue asks for.
func compareTakeovers(r *report, faults map[string]*fault) {
	p50 := func(name string, mib int) float64 {
		f := faults[key(name, mib)]
		if f == nil || f.gaps.n() == 0 {
			return 0
		}
		return float64(f.gaps.at(50))
	}
	compare := func(name string, over, under, goal float64) {
		switch {
		case over == 0 || under == 0:
			r.note("not measured: %s", name)
		case goal == 0:
			r.info(name, over/under)
		default:
			r.atMost(name, over/under, goal, "")
		}
	}
	kill := p50("pair, SIGKILL", small)
	compare("gap (p50) after SIGKILL, 10 MiB, pair / bare pair", kill, p50("bare pair, SIGKILL", small), 2)
	compare("gap (p50) after SIGKILL, 2 GiB, pair / bare pair", p50("pair, SIGKILL", large), p50("bare pair, SIGKILL", large), 0)
	compare("gap (p50) after SIGKILL, pair, 2 GiB / 10 MiB", p50("pair, SIGKILL", large), kill, 3)
	const eof = "bare pair that waits for end-of-file, SIGKILL"
	compare("gap (p50) after SIGKILL, waiting for end-of-file, 2 GiB / 10 MiB", p50(eof, large), p50(eof, small), 0)
	compare("gap (p50) after SIGKILL, 2 GiB, waiting for end-of-file / pair", p50(eof, large), p50("pair, SIGKILL", large), 0)
	compare("gap (p50), pair, panic in a handler / SIGKILL", p50("pair, panic in a handler", small), kill, 2)
	compare("gap (p50), pair, planned switch / SIGKILL", p50("pair, planned switch", small), kill, 1)
}

// phases are those of takeovers, from the registry's page.
type phases struct {
	noticed, fenced, sealed, drained, serving, replied, restored values
}

// follow has strike's takeover recorded when it is complete.
func (ph *phases) follow(t *pairUnderTest, strike func(context.Context, time.Duration) (outage, error)) func(context.Context, time.Duration) (outage, error) {
	return func(ctx context.Context, after time.Duration) (outage, error) {
		o, err := strike(ctx, after)
		if err != nil {
			return o, err
		}
		epoch := t.conn.Epoch()
		p, err := t.await(ctx, "protected again", func(p *registry.Page) bool {
			k := p.LastTakeover
			return protected(p) && k != nil && k.Epoch == epoch && k.FencedUS > 0 && k.RestoredUS > 0
		})
		if err != nil {
			return o, err
		}
		k := p.LastTakeover
		ph.noticed = append(ph.noticed, float64(k.At.Sub(o.struck))/1e3)
		for _, x := range []struct {
			to *values
			us int64
		}{{&ph.fenced, k.FencedUS}, {&ph.sealed, k.SealedUS}, {&ph.drained, k.DrainedUS}, {&ph.serving, k.ServingUS},
			{&ph.replied, k.FirstReplyUS}, {&ph.restored, k.RestoredUS}} {
			*x.to = append(*x.to, float64(x.us))
		}
		return o, nil
	}
}

func (ph *phases) report(r *report, of string) {
	r.row(ph.noticed.row("phase: noticed, since the SIGKILL"+of, "µs"))
	const since = ", since noticed"
	for _, x := range []struct {
		v    values
		name string
	}{{ph.sealed, "sealed"}, {ph.drained, "drained"}, {ph.serving, "serving"}, {ph.replied, "first reply"}, {ph.fenced, "fenced"},
		{ph.restored, "redundancy restored"}} {
		r.row(x.v.row("phase: "+x.name+since+of, "µs"))
	}
}
