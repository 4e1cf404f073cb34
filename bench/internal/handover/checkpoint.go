package handover

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// Plan says how much is measured.
type Plan struct {
	Rounds int    `json:"rounds"`
	Sizes  []Size `json:"sizes"`
}

// Size is that of a checkpoint, and how many are written in one round: far from filling any buffer.
type Size struct{ Bytes, Batch, Writes int }

// Command is the verb checkpoint.
func Command(o *figures.Options) *cobra.Command {
	plan := LongPlan()
	c := &cobra.Command{Use: "checkpoint", Short: "Cost of one checkpoint to the primary, by size and kind", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Quick {
				plan.Rounds = min(plan.Rounds, QuickPlan().Rounds)
			}
			return world.Verb(c.OutOrStdout(), o, "checkpoint", plan, func(ctx context.Context, w *world.World, r *figures.Report) error {
				costs, err := Run(ctx, w, r, plan, world.Progress(c.ErrOrStderr()))
				r.Results = costs
				return err
			})
		}}
	c.Flags().IntVar(&plan.Rounds, "rounds", plan.Rounds, "rounds for each size, each of which has every kind in turn")
	return c
}

// LongPlan is for figures to be quoted.
func LongPlan() Plan {
	return Plan{1000, []Size{{64, 1024, 128}, {256, 1024, 128}, {1 << 10, 512, 64}, {4 << 10, 256, 16}, {largest, 64, 4}}}
}

// QuickPlan takes two seconds.
func QuickPlan() Plan { return Plan{60, LongPlan().Sizes} }

// Cost is that of one kind and size, in nanoseconds for one checkpoint; each figure is the mean of one round.
type Cost struct {
	Kind  string         `json:"kind"`
	Bytes int            `json:"bytes"`
	NS    figures.Row    `json:"ns"`
	Ratio float64        `json:"ratio_to_copy"` // to the bare copy of the same round, median
	Raw   figures.Values `json:"raw_ns"`
}

// Costs are all of them.
type Costs []Cost

var _ figures.Table = Costs(nil)

// Print prints nothing more: the rows say it all.
func (Costs) Print(io.Writer) error { return nil }

// The kinds. The first is what all are compared with.
const (
	PlainCopy = "plain copy and atomic store"
	Append    = "append to the log"
	UnixWrite = "unix socket write"
	InPlace   = "append, encoded in place (Reserve, Commit)"
	Batched   = "append, 16 records with one commit"
	TCPWrite  = "TCP loopback write"
)

// way is one way to hand over a checkpoint.
type way struct {
	name string
	room func() error // waits until a round fits
	do   func(payload []byte, n int) error
	few  bool // system calls: fewer in a round
}

func (b *drainer) ways() []way {
	return []way{{PlainCopy, b.plain.room, b.plain.copy, false}, {Append, b.room, b.append, false}, {UnixWrite, b.unixRoom, b.writeUnix, true},
		{InPlace, b.room, b.inPlace, false}, {Batched, b.room, b.batched, false}, {TCPWrite, b.tcpRoom, b.writeTCP, true}}
}

// Run measures all kinds in every size.
func Run(ctx context.Context, w *world.World, r *figures.Report, plan Plan, progress func(done, all int, what string)) (Costs, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := startDrain(ctx, w)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var costs Costs
	ways := b.ways()
	for i, size := range plan.Sizes {
		took := make([]figures.Values, len(ways))
		for round := range plan.Rounds {
			progress(i*plan.Rounds+round, len(plan.Sizes)*plan.Rounds, fmt.Sprintf("checkpoints of %d B", size.Bytes))
			if err := oneRound(ctx, ways, size, round, took); err != nil {
				return nil, err
			}
		}
		for i, v := range took {
			costs = append(costs, Cost{ways[i].name, size.Bytes, v.Row("", "ns"), figures.Ratios(v, took[0]).Median(), v})
		}
		report(r, size.Bytes, ways, took)
	}
	r.Note("each figure is the mean of one round of writes; ratios are medians over the rounds")
	return costs, nil
}

// oneRound measures every way once, each time another one first.
func oneRound(ctx context.Context, ways []way, size Size, round int, took []figures.Values) error {
	payload := make([]byte, size.Bytes)
	for i := range ways {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		k := (i + round) % len(ways)
		n := size.Batch
		if ways[k].few {
			n = size.Writes
		}
		if err := ways[k].room(); err != nil {
			return err
		}
		began := time.Now()
		err := ways[k].do(payload, n)
		d := time.Since(began)
		if err != nil {
			return fmt.Errorf("%s: %w", ways[k].name, err)
		}
		took[k] = append(took[k], float64(d)/float64(n))
	}
	return nil
}

func report(r *figures.Report, bytes int, ways []way, took []figures.Values) {
	by := map[string]figures.Values{}
	for i, v := range took {
		by[ways[i].name] = v
		r.Row(v.Row(fmt.Sprintf("%s, %d B", ways[i].name, bytes), "ns"))
	}
	ratio := func(over, under string) float64 { return figures.Ratios(by[over], by[under]).Median() }
	over, under := fmt.Sprintf("%d B: append / plain copy", bytes), fmt.Sprintf("%d B: socket write / append", bytes)
	if bytes == 64 {
		r.AtMost(over, ratio(Append, PlainCopy), 3, "")
		r.AtLeast(under, ratio(UnixWrite, Append), 10)
	} else {
		r.Info(over, ratio(Append, PlainCopy))
		r.Info(under, ratio(UnixWrite, Append))
	}
	r.Info(fmt.Sprintf("%d B: append, encoded in place / plain copy", bytes), ratio(InPlace, PlainCopy))
	r.Info(fmt.Sprintf("%d B: append, 16 with one commit / plain copy", bytes), ratio(Batched, PlainCopy))
	r.Info(fmt.Sprintf("%d B: TCP loopback write / append", bytes), ratio(TCPWrite, Append))
}
