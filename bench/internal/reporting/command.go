package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/handover"
	"github.com/1fb4ed1c/tandem/bench/internal/page"
	"github.com/1fb4ed1c/tandem/bench/internal/restore"
	"github.com/1fb4ed1c/tandem/bench/internal/serving"
	"github.com/1fb4ed1c/tandem/bench/internal/takeover"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
)

// Parts of a report.
const (
	partTakeover   = "takeover"
	partServe      = "serve"
	partRestore    = "restore"
	partCheckpoint = "checkpoint"
)

var parts = []string{partTakeover, partServe, partRestore, partCheckpoint}

// Plan says what is measured, and how much.
type Plan struct {
	Parts      []string          `json:"parts"`
	Takeover   takeover.Plan     `json:"takeover"`
	Serve      serving.CurvePlan `json:"serve"`
	Restore    restore.Plan      `json:"restore"`
	Checkpoint handover.Plan     `json:"checkpoint"`
}

// Command is the verb report.
func Command(o *figures.Options) *cobra.Command {
	var chosen, blocks []string
	var faults int
	var out string
	c := &cobra.Command{Use: "report", Short: "Measure a chosen set and write one page with charts, and the raw figures", Args: cobra.NoArgs}
	c.RunE = func(c *cobra.Command, _ []string) error {
		plan, err := newPlan(o, chosen, blocks)
		if err != nil {
			return err
		}
		if c.Flags().Changed("faults") {
			plan.Takeover.Faults = faults
		}
		if out, err = directory(out); err != nil {
			return err
		}
		return run(o, plan, out, c.OutOrStdout(), c.ErrOrStderr())
	}
	f := c.Flags()
	f.StringVar(&out, "out", "", "directory for the page (default a new one under the temporary directory)")
	f.StringSliceVar(&chosen, "parts", parts, "what to measure")
	f.StringSliceVar(&blocks, "blocks", nil, "of takeover: what to vary, some of work,fault,snapshot,state,memory,clients (default all)")
	f.IntVar(&faults, "faults", takeover.LongPlan().Faults, "of takeover: faults of every cell")
	return c
}

func newPlan(o *figures.Options, chosen, blocks []string) (p Plan, err error) {
	for _, part := range chosen {
		if !slices.Contains(parts, part) {
			return p, fmt.Errorf("unknown part %q: expected some of %s", part, strings.Join(parts, ","))
		}
	}
	p = Plan{Parts: chosen, Takeover: takeover.LongPlan(), Serve: serving.LongCurve(), Restore: restore.LongPlan(), Checkpoint: handover.LongPlan()}
	if o.Quick {
		p.Takeover, p.Serve = takeover.QuickPlan(), serving.QuickCurve()
		p.Restore = restore.QuickPlan()
		p.Checkpoint = handover.QuickPlan()
	}
	p.Takeover.Blocks, err = takeover.Choose(p.Takeover.Blocks, blocks)
	return p, err
}

// directory returns where the page is to be written.
func directory(out string) (string, error) {
	if out == "" {
		return os.MkdirTemp("", "tandem-report-")
	}
	return filepath.Abs(out)
}

// run measures and writes.
func run(o *figures.Options, plan Plan, out string, stdout, stderr io.Writer) error {
	data := &page.Data{}
	r, err := world.Measure(o, "report", plan, func(ctx context.Context, w *world.World, r *figures.Report) error {
		return plan.measure(ctx, w, r, data, world.Progress(stderr))
	})
	if err != nil {
		return err
	}
	data.Report = r
	r.Results = data
	files, err := page.Render(data)
	if err != nil {
		return err
	}
	var raw strings.Builder
	if err := r.Print(&raw, true); err != nil {
		return err
	}
	files["report.json"] = []byte(raw.String())
	if err := write(out, files); err != nil {
		return err
	}
	if o.JSON {
		return json.NewEncoder(stdout).Encode(r)
	}
	fmt.Fprintf(stdout, "%s\nthe page: %s\n", strings.Join(data.Sentences(), "\n"), filepath.Join(out, "index.html"))
	return nil
}

// measure measures every part, in this order.
func (p *Plan) measure(ctx context.Context, w *world.World, r *figures.Report, data *page.Data, progress func(done, all int, what string)) (err error) {
	for _, part := range p.Parts {
		switch part {
		case partTakeover:
			data.Takeover, err = takeover.Run(ctx, w, p.Takeover, progress)
			data.Takeover.Remarks(r)
		case partServe:
			data.Serve, err = serving.Run(ctx, w, p.Serve, progress)
		case partRestore:
			data.Restore, err = restore.Run(ctx, w, r, p.Restore, progress)
		case partCheckpoint:
			data.Checkpoint, err = handover.Run(ctx, w, r, p.Checkpoint, progress)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

func write(out string, files map[string][]byte) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var errs []error
	for name, b := range files {
		errs = append(errs, os.WriteFile(filepath.Join(out, name), b, 0o644))
	}
	return errors.Join(errs...)
}
