package page

import (
	"cmp"
	"slices"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/takeover"
)

// chart is one section of the page.
type chart struct {
	ID, Title string
	Says      string // one sentence, computed from the data
	How       string // how to read it
	Columns   []string
	Rows      [][]string // the numbers
	NotRun    []string   // what is missing, and why

	plots   []drawable // nil: nothing was measured
	picture picture
}

// charts are all sections, in the order of the page.
func charts(d *Data) []*chart {
	return []*chart{mainChart(d), phasesChart(d), tradeChart(d), processorChart(d), faultsChart(d), backlogChart(d), growthChart(d), restoreChart(d), clientsChart(d), checkpointChart(d)}
}

// modes are those that there are results of, in their order.
func modes(rs takeover.Results) (all []string) {
	for _, r := range rs {
		if !slices.Contains(all, r.Mode) {
			all = append(all, r.Mode)
		}
	}
	return all
}

// colours of the modes are the same in every chart.
func modeColour(mode string) int {
	return map[string]int{"primary-computes": 0, "backup-computes-lazy": 1, "backup-computes-eager": 2}[mode]
}

// gaps makes a series of results: of each the median, with whiskers from the least to the 99th percentile.
func gaps(rs takeover.Results, x func(*takeover.Result) float64) (points []point) {
	for _, r := range rs {
		if r.Gap.N > 0 && r.Gap.P50 > 0 {
			points = append(points, point{x(r), r.Gap.P50, r.Gap.Min, r.Gap.P99})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	return points
}

func where(rs takeover.Results, ok func(*takeover.Result) bool) takeover.Results {
	return slices.DeleteFunc(slices.Clone(rs), func(r *takeover.Result) bool { return !ok(r) })
}

func byWork(r *takeover.Result) float64 { return float64(r.Work) / 1e3 }

// gapSeries has one line for each mode.
func gapSeries(rs takeover.Results, x func(*takeover.Result) float64) (all []series) {
	for _, m := range modes(rs) {
		if p := gaps(where(rs, func(r *takeover.Result) bool { return r.Mode == m }), x); len(p) > 0 {
			all = append(all, series{modeName(m), modeColour(m), p})
		}
	}
	return all
}

// xs are the values along an axis that there are points at.
func xs(all []series) (ticks []float64) {
	for _, s := range all {
		for _, p := range s.points {
			if !slices.Contains(ticks, p.x) {
				ticks = append(ticks, p.x)
			}
		}
	}
	slices.Sort(ticks)
	return ticks
}

// quarters are ticks for parts of a whole, and for multiples of it.
func quarters(all []series) (ticks []float64) {
	most := 1.0
	for _, s := range all {
		for _, p := range s.points {
			most = max(most, p.y)
		}
	}
	step := .25
	for most/step > 8 {
		step *= 2
	}
	for v := 0.0; v <= most*1.1; v += step {
		ticks = append(ticks, v)
	}
	return ticks
}

// swapped has x for y.
func swapped(all []series) (other []series) {
	for _, s := range all {
		o := series{name: s.name, colour: s.colour}
		for _, p := range s.points {
			o.points = append(o.points, point{x: p.y, y: p.x})
		}
		other = append(other, o)
	}
	return other
}

// gapTable is the raw of a block.
func (c *chart) gapTable(rs takeover.Results) {
	c.Columns = []string{"cell", "faults", "void", "gap p50", "p99", "max", "noticed", "fenced", "log read", "serving", "protected again", "longest wait p50", "errors"}
	for _, r := range rs {
		if r.NotRun != "" {
			c.NotRun = append(c.NotRun, r.Name+": "+r.NotRun)
		}
		if len(r.Faults) == 0 {
			continue
		}
		p := r.Medians()
		c.Rows = append(c.Rows, []string{r.Name, count(len(r.Faults)), count(len(r.Void)), us(r.Gap.P50), us(r.Gap.P99), us(r.Gap.Max), us(p.Noticed), us(p.Fenced),
			us(p.Drained), us(p.Serving), us(p.Restored), us(r.Worst.P50), count(r.Errors)})
	}
}

// find returns the result of a cell; nil: it has none.
func find(rs takeover.Results, ok func(*takeover.Result) bool) *takeover.Result {
	i := slices.IndexFunc(rs, func(r *takeover.Result) bool { return len(r.Faults) > 0 && ok(r) })
	if i < 0 {
		return nil
	}
	return rs[i]
}

func mostWork(rs takeover.Results) (most time.Duration) {
	for _, r := range rs {
		if len(r.Faults) > 0 {
			most = max(most, r.Work)
		}
	}
	return most
}

func leastWork(rs takeover.Results) (least time.Duration) {
	least = time.Hour
	for _, r := range rs {
		if len(r.Faults) > 0 {
			least = min(least, r.Work)
		}
	}
	return least
}

// medianOf is the median over the faults of a cell.
func medianOf(r *takeover.Result, of func(*takeover.Fault) float64) float64 {
	return max(0, figures.Values(r.Values(of)).Median())
}
