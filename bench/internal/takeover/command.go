package takeover

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/contrast"
	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/restore"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// LongPlan is for figures to be quoted. QuickPlan is for half a minute.
func LongPlan() Plan {
	return Plan{Faults: 300, Rate: 5000, Blocks: Long()}
}

// QuickPlan shows that everything works, and little more.
func QuickPlan() Plan {
	return Plan{Faults: 5, Budget: 9 * time.Second, Rate: 5000, Blocks: Quick()}
}

// verb is everything that the verb takeover does.
type verb struct {
	Cells    Plan          `json:"cells"`
	Contrast contrast.Plan `json:"contrast"`
	Filling  restore.Plan  `json:"filling"`
}

// Command is the verb takeover.
func Command(o *figures.Options) *cobra.Command {
	v := verb{Contrast: contrast.Plan{Kills: 60, LargeKills: 8, LargeMiB: 2048}, Filling: restore.Plan{States: []int{256}, Fillings: 5, Rate: 2000}}
	var faults, state int
	var blocks []string
	c := &cobra.Command{Use: "takeover", Short: "What clients see of the end of a primary, and where the time goes", Args: cobra.NoArgs}
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		v.Cells = LongPlan()
		if o.Quick {
			v.Cells = QuickPlan()
			v.Cells.Budget = 8 * time.Second // there is more to do here
			v.Contrast.Kills, v.Contrast.LargeKills, v.Filling.Fillings = min(v.Contrast.Kills, 5), min(v.Contrast.LargeKills, 2), 1
			if !c.Flags().Changed("large") {
				v.Contrast.LargeMiB = 256
			}
			if !c.Flags().Changed("state") {
				state = 64
			}
		}
		if c.Flags().Changed("faults") {
			v.Cells.Faults = faults
		}
		if v.Cells.Blocks, err = Choose(v.Cells.Blocks, blocks); err != nil {
			return err
		}
		if v.Filling.States = []int{state}; state == 0 {
			v.Filling.States = nil
		}
		return world.Verb(c.OutOrStdout(), o, "takeover", &v, func(ctx context.Context, w *world.World, r *figures.Report) error {
			return v.run(ctx, w, r, world.Progress(c.ErrOrStderr()))
		})
	}
	f := c.Flags()
	f.IntVar(&faults, "faults", LongPlan().Faults, "faults of every cell; 0: no cells")
	f.StringSliceVar(&blocks, "blocks", nil, "what to vary, some of work,fault,snapshot,state,memory,clients (default all)")
	f.IntVar(&v.Contrast.Kills, "kills", v.Contrast.Kills, "faults of each kind beside a bare pair, with primaries of 10 MiB")
	f.IntVar(&v.Contrast.LargeKills, "large-kills", v.Contrast.LargeKills, "faults beside a bare pair, with large primaries")
	f.IntVar(&v.Contrast.LargeMiB, "large", v.Contrast.LargeMiB, "how large those are, in MiB (--quick: 256)")
	f.IntVar(&state, "state", 256, "state in MiB that a new backup is filled with (--quick: 64)")
	return c
}

func (v *verb) run(ctx context.Context, w *world.World, r *figures.Report, progress func(done, all int, what string)) error {
	if err := contrast.Run(ctx, w, r, v.Contrast, progress); err != nil {
		return err
	}
	points, err := restore.Run(ctx, w, r, v.Filling, progress)
	if err != nil {
		return err
	}
	for i := range points {
		points[i].Goal(r)
	}
	if v.Cells.Faults == 0 {
		return nil
	}
	results, err := Run(ctx, w, v.Cells, progress)
	r.Results = results
	results.Remarks(r)
	return err
}

// Remarks notes what says nothing.
func (rs Results) Remarks(r *figures.Report) {
	for _, res := range rs {
		for _, why := range res.Void {
			r.Voided("%s: %s", res.Name, why)
		}
	}
}
