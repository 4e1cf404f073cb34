package restore

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// Command is the verb restore.
func Command(o *figures.Options) *cobra.Command {
	plan := LongPlan()
	c := &cobra.Command{Use: "restore", Short: "How long a pair is without a backup, by the size of its state, and what requests feel meanwhile", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Quick {
				quick := QuickPlan()
				if plan.Fillings = min(plan.Fillings, quick.Fillings); !c.Flags().Changed("state") {
					plan.States = quick.States
				}
			}
			return world.Verb(c.OutOrStdout(), o, "restore", &plan, func(ctx context.Context, w *world.World, r *figures.Report) error {
				points, err := Run(ctx, w, r, plan, world.Progress(c.ErrOrStderr()))
				r.Results = points
				return err
			})
		}}
	f := c.Flags()
	f.IntSliceVar(&plan.States, "state", plan.States, "sizes of the state, in MiB")
	f.IntVar(&plan.Fillings, "fillings", plan.Fillings, "new backups for each size")
	f.IntVar(&plan.Rate, "rate", plan.Rate, "requests per second meanwhile")
	return c
}

// LongPlan is for figures to be quoted.
func LongPlan() Plan { return Plan{States: []int{1, 16, 64, 256, 1024}, Fillings: 10, Rate: 2000} }

// QuickPlan takes a few seconds.
func QuickPlan() Plan { return Plan{States: []int{1, 64}, Fillings: 2, Rate: 2000} }

// Points are all sizes.
type Points []Point

var _ figures.Table = Points(nil)

// Print prints a table.
func (ps Points) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\nstate MiB\tfillings\tms until synchronised p50\tmax\tlongest wait, ms p50\twithout filling\t")
	for _, p := range ps {
		if p.NotRun != "" {
			fmt.Fprintf(t, "%d\t%s\t\t\t\t\t\n", p.StateMiB, p.NotRun)
			continue
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t\n", p.StateMiB, p.Took.N, figures.Short(p.Took.P50), figures.Short(p.Took.Max),
			figures.Short(p.With.P50), figures.Short(p.Without.P50))
	}
	return t.Flush()
}
