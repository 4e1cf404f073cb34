package serving

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// inFlight is how many requests are under way where one connection is measured.
const inFlight = 16

// Plan says how much is measured.
type Plan struct {
	Rounds  int           `json:"rounds"`
	Slice   time.Duration `json:"slice_ns"`  // of one contender in one round, once for latency and once for throughput
	Flight  int           `json:"in_flight"` // requests at a time, where throughput is measured
	Payload int           `json:"payload_bytes"`
	Curve   CurvePlan     `json:"curve"`
}

// Command is the verb serve.
func Command(o *figures.Options) *cobra.Command {
	plan := Plan{Rounds: 50, Slice: 30 * time.Millisecond, Flight: inFlight, Payload: subject.PayloadSize, Curve: LongCurve()}
	c := &cobra.Command{Use: "serve", Short: "Cost of protection to a request: no backup and every mode, 1 to 1,000 clients", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Quick {
				plan.Rounds, plan.Slice = min(plan.Rounds, 12), 15*time.Millisecond
				plan.Curve = QuickCurve()
			}
			return world.Verb(c.OutOrStdout(), o, "serve", plan, func(ctx context.Context, w *world.World, r *figures.Report) error {
				progress := world.Progress(c.ErrOrStderr())
				if err := contend(ctx, w, r, plan, progress); err != nil {
					return err
				}
				points, err := Run(ctx, w, plan.Curve, progress)
				r.Results = points
				return err
			})
		}}
	c.Flags().IntVar(&plan.Rounds, "rounds", plan.Rounds, "rounds in which everybody has a turn")
	return c
}
