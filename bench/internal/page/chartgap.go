package page

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot/vg"

	"github.com/1fb4ed1c/tandem/bench/internal/serving"
	"github.com/1fb4ed1c/tandem/bench/internal/takeover"
)

func count(n int) string { return strconv.Itoa(n) }

// mainChart is the trade-off: the gap by mode and work, beside the cost before the failure.
func mainChart(d *Data) *chart {
	c := &chart{ID: "takeover", Title: "The gap after a SIGKILL, and what it costs before", picture: picture{33 * vg.Centimeter, wide.height},
		How: "Left: from the SIGKILL of the primary to the first reply that a client gets from the new one; the dot is the median, the whisker goes from the shortest to the 99th percentile. " +
			"Middle and right: throughput, and the processor time of primary and backup together for one request, both compared with the same service without a backup, measured in turns; 100 % is no cost. All by the computing that one request needs."}
	rs := d.Takeover.Of(takeover.ByWork)
	c.gapTable(rs)
	all := gapSeries(rs, byWork)
	cost := costSeries(d.Serve)
	if len(all) == 0 {
		return c
	}
	c.plots = []drawable{&line{title: "Gap at the client (p50, whisker to p99)", x: axis{label: "computing per request", log: true, unit: us, ticks: xs(all)},
		y: axis{label: "gap", log: true, unit: us}, series: all}}
	for _, panel := range []struct {
		title  string
		series []series
	}{{"Throughput before the failure", cost}, {"Processor time of a request", workSeries(d.Serve, func(p *serving.Point) float64 { return p.CPURatio })}} {
		if len(panel.series) > 0 {
			c.plots = append(c.plots, &line{title: panel.title, x: axis{label: "computing per request", log: true, unit: us, ticks: xs(panel.series)},
				y: axis{label: "of that without a backup", unit: percent, zero: true, ticks: quarters(panel.series)}, series: unnamed(panel.series), mark: 1})
		}
	}
	c.Says = saysMain(rs, d.Serve)
	return c
}

// unnamed are series whose names stand beside others of the same colours.
func unnamed(all []series) (same []series) {
	for _, s := range all {
		s.name = ""
		same = append(same, s)
	}
	return same
}

// costSeries has one line for each mode: the ratio of its throughput to that of no backup.
func costSeries(ps serving.Points) []series {
	return workSeries(ps, func(p *serving.Point) float64 { return p.Ratio })
}

// workSeries has one line for each mode: a figure by the work of a request.
func workSeries(ps serving.Points, of func(*serving.Point) float64) (all []series) {
	for _, m := range serving.Modes() {
		var points []point
		for _, p := range ps {
			if p.Mode == m && p.Clients == serving.BaseClients && of(p) > 0 {
				points = append(points, point{x: float64(p.Work) / 1e3, y: of(p)})
			}
		}
		slices.SortFunc(points, func(a, b point) int { return int(a.x - b.x) })
		if len(points) > 0 {
			all = append(all, series{modeName(m), modeColour(m), points})
		}
	}
	return all
}

func ratioAt(ps serving.Points, mode string, work time.Duration) float64 {
	for _, p := range ps {
		if p.Mode == mode && p.Clients == serving.BaseClients && p.Work == work {
			return p.Ratio
		}
	}
	return 0
}

// saysMain compares the modes at the most and at the least work.
func saysMain(rs takeover.Results, ps serving.Points) string {
	works := []time.Duration{mostWork(rs), leastWork(rs)}
	if works[0] == works[1] {
		works = works[:1]
	}
	var all []string
	for _, work := range works {
		var gaps, costs []string
		for _, m := range modes(rs) {
			r := find(rs, func(r *takeover.Result) bool { return r.Mode == m && r.Work == work })
			if r == nil {
				continue
			}
			gaps = append(gaps, fmt.Sprintf("%s where the %s", us(r.Gap.P50), modeName(m)))
			if x := ratioAt(ps, m, work); x > 0 {
				costs = append(costs, percent(x))
			}
		}
		s := fmt.Sprintf("with %s of computing per request the median gap is %s", span(work), strings.Join(gaps, ", "))
		if len(costs) == len(gaps) {
			s += fmt.Sprintf("; before the failure, throughput is %s of that without a backup, in the same order", strings.Join(costs, ", "))
		}
		all = append(all, s)
	}
	return strings.Join(all, "; ") + "."
}

// phaseNames are the parts of a gap, in their order.
var phaseNames = []string{"until noticed", "fence, seal", "read the log", "replay, begin to serve", "first reply reaches a client"}

// segments are the parts of one gap. What is done beside the serving is no part of it.
func segments(f *takeover.Fault) [5]float64 {
	at := [5]float64{f.Noticed, f.Sealed, f.Drained, f.Serving, f.Replied}
	last := 0.0
	var out [5]float64
	for i, t := range at {
		out[i] = max(0, t-last)
		last = max(last, t)
	}
	return out
}

func phasesChart(d *Data) *chart {
	c := &chart{ID: "phases", Title: "Where the time of a gap goes", picture: picture{wide.width, 12 * vg.Centimeter},
		How: "Medians of each part of the gap after a SIGKILL. A death that is proven is fenced beside the serving, and is no part of the gap then; the table above says when it was done."}
	rs := where(d.Takeover.Of(takeover.ByWork), func(r *takeover.Result) bool { return len(r.Faults) > 0 })
	lazy := where(rs, func(r *takeover.Result) bool { return r.Mode == "backup-computes-lazy" })
	rest := where(rs, func(r *takeover.Result) bool { return r.Mode != "backup-computes-lazy" })
	c.Columns = append([]string{"cell"}, phaseNames...)
	for _, side := range []struct {
		rs    takeover.Results
		title string
	}{{rest, "The state is there: primary computes, or eager backup"}, {lazy, "The state is replayed: lazy backup"}} {
		if len(side.rs) > 0 {
			c.plots = append(c.plots, c.stack(side.rs, side.title))
		}
	}
	if b := find(rs, func(r *takeover.Result) bool { return r.Mode == "primary-computes" && r.Work == leastWork(rs) }); b != nil {
		part, most := 0, 0.0
		for k := range phaseNames {
			if v := medianOf(b, func(f *takeover.Fault) float64 { return segments(f)[k] }); v > most {
				part, most = k, v
			}
		}
		c.Says = fmt.Sprintf("with a primary that computes and %s of work, the longest part is “%s”, with %s of %s.", span(b.Work), phaseNames[part], us(most), us(b.Gap.P50))
	} else {
		c.Says = "the parts of each gap, as medians."
	}
	return c
}

// stack draws the parts of the gaps of some cells.
func (c *chart) stack(rs takeover.Results, title string) drawable {
	b := &bars{title: title, label: "since the fault", parts: phaseNames, values: make([][]float64, len(phaseNames))}
	for _, r := range rs {
		name := strings.TrimPrefix(modeName(r.Mode), "backup computes ")
		b.names = append(b.names, name+", "+span(r.Work))
		row := []string{r.Name}
		for k := range phaseNames {
			v := medianOf(r, func(f *takeover.Fault) float64 { return segments(f)[k] })
			b.values[k] = append(b.values[k], v)
			row = append(row, us(v))
		}
		c.Rows = append(c.Rows, row)
	}
	return b
}

func tradeChart(d *Data) *chart {
	c := &chart{ID: "trade", Title: "The trade-off: cost before the failure against the gap", picture: picture{wide.width / 2 * 1.2, wide.height},
		How: "Each dot is a mode with one amount of computing per request; lines join the same mode, from little to much computing. Best is the lower right corner: full throughput and no gap."}
	rs := d.Takeover.Of(takeover.ByWork)
	var all []series
	c.Columns = []string{"mode", "computing", "throughput, of that without a backup", "gap p50"}
	cheapest, quickest := "", ""
	var most, least float64
	for _, m := range modes(rs) {
		s := series{name: modeName(m), colour: modeColour(m)}
		for _, r := range rs {
			x := ratioAt(d.Serve, m, r.Work)
			if r.Mode != m || x == 0 || len(r.Faults) == 0 || r.Gap.P50 <= 0 {
				continue
			}
			s.points = append(s.points, point{x: x, y: r.Gap.P50})
			c.Rows = append(c.Rows, []string{modeName(m), span(r.Work), percent(x), us(r.Gap.P50)})
			at := modeName(m) + " with " + span(r.Work)
			if cheapest == "" || x > most {
				cheapest, most = at, x
			}
			if quickest == "" || r.Gap.P50 < least {
				quickest, least = at, r.Gap.P50
			}
		}
		if len(s.points) > 0 {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return c
	}
	c.plots = []drawable{&line{x: axis{label: "throughput, of that without a backup", unit: percent, zero: true, ticks: quarters(swapped(all))}, y: axis{label: "gap (p50)", log: true, unit: us}, series: all}}
	c.Says = fmt.Sprintf("the most throughput is left with “%s” of computing (%s), and the shortest gap is that of “%s” (%s).", cheapest, percent(most), quickest, us(least))
	return c
}
