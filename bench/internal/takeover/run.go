package takeover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/fault"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// Plan says how much is measured.
type Plan struct {
	Faults int           `json:"faults"`    // of every cell
	Budget time.Duration `json:"budget_ns"` // no round is begun later than that, all blocks together; 0: no limit
	Rate   float64       `json:"rate"`      // requests per second, at most; less if a request is much work
	Blocks []Block       `json:"blocks"`
}

// runner is a run of cells.
type runner struct {
	world    *world.World
	plan     Plan
	rigs     rigs
	perWork  map[time.Duration]uint64
	progress func(done, all int, what string)
	done     int // faults
	all      int
	began    time.Time
}

// Run measures all blocks, one after the other.
func Run(ctx context.Context, w *world.World, plan Plan, progress func(done, all int, what string)) (Results, error) {
	r := &runner{world: w, plan: plan, progress: progress, perWork: map[time.Duration]uint64{}, began: time.Now(),
		rigs: rigs{world: w, all: map[rigKey]*rig{}}}
	for _, b := range plan.Blocks {
		r.all += len(b.Cells) * plan.Faults
	}
	defer r.rigs.keep(context.WithoutCancel(ctx), nil) // also if it is interrupted
	var results Results
	for i, b := range plan.Blocks {
		results = append(results, r.block(ctx, b, r.until(i))...)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		r.rigs.keep(ctx, plan.Blocks[i+1:])
	}
	return results, nil
}

// until is when block i ends: each has a part of the budget that goes with its cells.
func (r *runner) until(i int) time.Time {
	if r.plan.Budget == 0 {
		return time.Time{}
	}
	cells := 0
	for _, b := range r.plan.Blocks[:i+1] {
		cells += len(b.Cells)
	}
	return r.began.Add(r.plan.Budget * time.Duration(cells*r.plan.Faults) / time.Duration(max(r.all, 1)))
}

// block has the cells take turns.
func (r *runner) block(ctx context.Context, b Block, until time.Time) (results Results) {
	for _, c := range b.Cells {
		if _, ok := r.perWork[c.Work]; !ok {
			r.perWork[c.Work] = subject.SpinsPer(c.Work)
		}
		res := newResult(b.Name, c, c.rate(r.plan.Rate))
		if res.NotRun = fault.Unable(c.Fault); res.NotRun == "" {
			res.NotRun = world.NoRoom(c.needMiB())
		}
		results = append(results, res)
	}
	order := rand.New(rand.NewPCG(r.world.Options.Seed, uint64(len(b.Cells))))
	for round := range r.plan.Faults {
		for _, i := range order.Perm(len(results)) {
			over := round > 0 && !until.IsZero() && time.Now().After(until)
			if ctx.Err() != nil || over || r.hopeless() {
				break
			}
			r.progress(r.done, r.all, "fault: "+results[i].Name)
			r.done++
			if results[i].NotRun == "" {
				r.fault(ctx, b.Name, i, round, results[i])
			}
		}
	}
	for _, res := range results {
		if res.finish(); res.NotRun == "" && len(res.Faults)+len(res.Void) == 0 {
			res.NotRun = "not run: there was no time left"
		}
	}
	return results
}

// hopeless: a run with a budget that has used half as much again will not do what it was asked for.
func (r *runner) hopeless() bool {
	return r.plan.Budget > 0 && time.Since(r.began) > r.plan.Budget*3/2
}

// How often a fault that says nothing is done again, and after how many failures a cell is given up.
const (
	attempts    = 3
	failuresMax = 3
)

// fault does one fault of a cell. What says nothing is void, and done once more.
func (r *runner) fault(ctx context.Context, block string, cell, round int, res *Result) {
	for try := range attempts {
		void, err := r.attempt(ctx, block, cell, round+try<<20, res)
		if ctx.Err() != nil || void == "" && err == nil {
			return
		}
		if err == nil {
			res.Void = append(res.Void, void)
			continue
		}
		res.Void = append(res.Void, fmt.Sprintf("failed: %v", err))
		r.rigs.drop(ctx, res.key()) // the next fault is done to another pair
		if res.failures++; res.failures >= failuresMax {
			res.NotRun = fmt.Sprintf("given up after %d failures, the last: %v", res.failures, err)
		}
		return
	}
}

func (r *runner) attempt(ctx context.Context, block string, cell, round int, res *Result) (void string, err error) {
	rig, err := r.rigs.of(ctx, res.key())
	if err != nil {
		return "", err
	}
	a := &attempt{rig: rig, cell: &res.Cell, result: res, spins: r.perWork[res.Work], chance: chance(r.world.Options.Seed, block, cell, round)}
	return a.once(ctx)
}
