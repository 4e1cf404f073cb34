package takeover

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// Phases are moments in microseconds since the fault; 0: not known, or not needed.
type Phases struct {
	Noticed  float64 `json:"noticed_us,omitempty"`
	Fenced   float64 `json:"fenced_us,omitempty"`
	Sealed   float64 `json:"sealed_us,omitempty"`
	Drained  float64 `json:"drained_us,omitempty"`
	Serving  float64 `json:"serving_us,omitempty"`
	Replied  float64 `json:"replied_us"`
	Restored float64 `json:"restored_us,omitempty"`
}

// phasesOf reads them from the page of the new primary. at is the fault's time on the wall clock, which the page uses.
func phasesOf(k *registry.Takeover, at time.Time) (p Phases) {
	noticed := float64(k.At.Sub(at)) / 1e3
	since := func(us int64) float64 {
		if us == 0 {
			return 0
		}
		return noticed + float64(us)
	}
	return Phases{Noticed: noticed, Fenced: since(k.FencedUS), Sealed: since(k.SealedUS), Drained: since(k.DrainedUS), Serving: since(k.ServingUS),
		Restored: since(k.RestoredUS)}
}

// Fault is what was measured of one. Times are in microseconds.
type Fault struct {
	Phases
	Gap     float64 `json:"gap_us"`   // t5: to the first reply by the new primary; of a switch, between the last reply before and that one
	Seen    float64 `json:"seen_us"`  // how long that first request had waited: less than the gap if it was sent after the fault
	Worst   float64 `json:"worst_us"` // the longest wait of any request that the fault met
	Before  int     `json:"replies_before"`
	Errors  int     `json:"errors"`             // of clients: none is expected
	Pumped  int     `json:"backlog_made"`       // requests made before the load, so that faults fall anywhere between two snapshots
	Records int     `json:"records_drained"`    // from the log, at the takeover
	Late    float64 `json:"load_late_p99_us"`   // how late the load itself was: a sign of what the machine was like
	Cause   string  `json:"cause,omitempty"`    // as the pair's status page has it
	Told    string  `json:"evidence,omitempty"` // what told of it
}

// Result is what was measured of one cell.
type Result struct {
	Block string `json:"block"`
	Cell
	Name   string           `json:"name"`
	NotRun string           `json:"not_run,omitempty"` // why
	Void   []string         `json:"void,omitempty"`    // faults that say nothing, and why
	Rate   float64          `json:"requests_per_second"`
	Gap    figures.Row      `json:"gap"`
	Worst  figures.Row      `json:"worst_wait"`
	Errors int              `json:"errors"`
	Faults []Fault          `json:"faults"`          // raw, in the order in which they were done
	Calm   []figures.Bucket `json:"waits_before_ns"` // of requests answered before the fault
	Met    []figures.Bucket `json:"waits_after_ns"`  // of all others

	calm, met *figures.Times
	failures  int
}

func newResult(block string, c Cell, rate float64) *Result {
	return &Result{Block: block, Cell: c, Name: c.String(), Rate: rate, Faults: []Fault{}, calm: figures.NewTimes(), met: figures.NewTimes()}
}

// Values returns one figure of every fault.
func (r *Result) Values(of func(*Fault) float64) (v figures.Values) {
	for i := range r.Faults {
		v = append(v, of(&r.Faults[i]))
	}
	return v
}

// Medians returns the median of every phase, over the faults.
func (r *Result) Medians() (p Phases) {
	p.Noticed = r.Values(func(f *Fault) float64 { return f.Noticed }).Median()
	p.Fenced = r.Values(func(f *Fault) float64 { return f.Fenced }).Median()
	p.Sealed = r.Values(func(f *Fault) float64 { return f.Sealed }).Median()
	p.Drained = r.Values(func(f *Fault) float64 { return f.Drained }).Median()
	p.Serving = r.Values(func(f *Fault) float64 { return f.Serving }).Median()
	p.Replied = r.Values(func(f *Fault) float64 { return f.Replied }).Median()
	p.Restored = r.Values(func(f *Fault) float64 { return f.Restored }).Median()
	return p
}

// finish computes what follows from the faults.
func (r *Result) finish() {
	r.Gap = r.Values(func(f *Fault) float64 { return f.Gap }).Row("", "µs")
	r.Worst = r.Values(func(f *Fault) float64 { return f.Worst }).Row("", "µs")
	r.Errors = 0
	for _, f := range r.Faults {
		r.Errors += f.Errors
	}
	r.Calm, r.Met = r.calm.Buckets(), r.met.Buckets()
}

// Results are those of all cells.
type Results []*Result

var _ figures.Table = Results(nil)

// Of returns the results of a block.
func (rs Results) Of(block string) (of Results) {
	for _, r := range rs {
		if r.Block == block {
			of = append(of, r)
		}
	}
	return of
}

// Print prints a table.
func (rs Results) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\nfaults\tvoid\tgap p50\tp99\tmax, µs\tnoticed\tfenced\tdrained\tserving\trestored, µs\tlongest wait p50\terrors\t  \b")
	for _, r := range rs {
		p := r.Medians()
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t  %s\n", len(r.Faults), len(r.Void), figures.Short(r.Gap.P50), figures.Short(r.Gap.P99),
			figures.Short(r.Gap.Max), known(p.Noticed), known(p.Fenced), known(p.Drained), known(p.Serving), known(p.Restored), figures.Short(r.Worst.P50), r.Errors, r.label())
	}
	return t.Flush()
}

func (r *Result) label() string {
	if r.NotRun != "" {
		return r.Name + ": " + r.NotRun
	}
	return r.Name
}

// known prints a moment, or nothing.
func known(us float64) string {
	if us == 0 {
		return "-"
	}
	return figures.Short(us)
}
