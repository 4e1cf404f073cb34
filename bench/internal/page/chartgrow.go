package page

import (
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"

	"github.com/1fb4ed1c/tandem/bench/internal/fault"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/takeover"
)

func faultsChart(d *Data) *chart {
	rs := d.Takeover.Of(takeover.ByFault)
	c := &chart{ID: "faults", Title: "The gap by kind of fault", picture: picture{wide.width, 11 * vg.Centimeter},
		How: "Median, with a whisker from the shortest to the 99th percentile. A process that is stopped or deadlocked does not die: its backup waits until it has shown no progress for HangAfter (here 250 ms, the shortest that can be chosen; half of that if the kernel says that it is stopped), kills it, and goes on. A planned switch counts from the last reply before it."}
	c.gapTable(rs)
	var names []string
	for _, r := range rs {
		if len(r.Faults) > 0 && !slices.Contains(names, string(r.Fault)) {
			names = append(names, string(r.Fault))
		}
	}
	if len(names) == 0 {
		return c
	}
	dots := &dots{label: "gap", names: names}
	for _, m := range modes(rs) {
		s := series{name: modeName(m), colour: modeColour(m)}
		for _, r := range rs {
			if r.Mode == m && len(r.Faults) > 0 && r.Gap.P50 > 0 {
				s.points = append(s.points, point{float64(slices.Index(names, string(r.Fault))), r.Gap.P50, r.Gap.Min, r.Gap.P99})
			}
		}
		if len(s.points) > 0 {
			dots.series = append(dots.series, s)
		}
	}
	c.plots = []drawable{dots}
	c.Says = saysFaults(rs)
	return c
}

func saysFaults(rs takeover.Results) string {
	mode := modes(rs)[0]
	base := find(rs, func(r *takeover.Result) bool { return r.Mode == mode && r.Fault == fault.Kill })
	if base == nil {
		return "gaps of every kind of fault."
	}
	var parts []string
	for _, r := range rs {
		if r.Mode == mode && r.Fault != fault.Kill && len(r.Faults) > 0 && base.Gap.P50 > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", r.Fault, times(r.Gap.P50/base.Gap.P50)))
		}
	}
	return fmt.Sprintf("the median gap after a SIGKILL is %s (%s); as multiples of that: %s.", us(base.Gap.P50), modeName(mode), strings.Join(parts, ", "))
}

// times prints a factor.
func times(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

func backlogChart(d *Data) *chart {
	c := &chart{ID: "backlog", Title: "What a lazy backup replays", picture: picture{wide.width / 2 * 1.2, wide.height},
		How: "A backup that computes lazily runs, at the takeover, every request since the last snapshot. A fault falls anywhere between two snapshots, so on average half of the interval is replayed."}
	rs := d.Takeover.Of(takeover.BySnapshot)
	c.gapTable(rs)
	all := gapSeries(rs, func(r *takeover.Result) float64 { return float64(r.Snapshot) })
	if len(all) == 0 {
		return c
	}
	c.plots = []drawable{&line{x: axis{label: "requests between two snapshots", log: true, unit: plain, ticks: xs(all)}, y: axis{label: "gap", log: true, unit: us}, series: all}}
	c.Says = growth(all[0].points, "requests between snapshots", plain)
	return c
}

func plain(v float64) string { return fmt.Sprintf("%.0f", v) }

// growth says what becomes of the median from the first point to the last.
func growth(p []point, of string, unit func(float64) string) string {
	a, b := p[0], p[len(p)-1]
	if len(p) < 2 || a.x == b.x {
		return fmt.Sprintf("%s with %s %s.", us(a.y), unit(a.x), of)
	}
	return fmt.Sprintf("from %s to %s %s the median gap goes from %s to %s, a factor of %s.", unit(a.x), unit(b.x), of, us(a.y), us(b.y), times(b.y/a.y))
}

func sized(v float64) string { return mib(int(v)) }

func growthChart(d *Data) *chart {
	c := &chart{ID: "growth", Title: "Does the gap grow with memory, or with the state?", picture: wide,
		How: "Left: the primary has touched so much memory, which the kernel must clear away when it dies; a backup that waited for the end of that would wait longer with every gigabyte. Right: the state, which the backup holds already, is so large."}
	memory, state := d.Takeover.Of(takeover.ByMemory), d.Takeover.Of(takeover.ByState)
	c.gapTable(append(slices.Clone(memory), state...))
	for _, side := range []struct {
		rs        takeover.Results
		title, of string
		x         func(*takeover.Result) float64
	}{
		{memory, "by the memory of the primary", "of memory", func(r *takeover.Result) float64 { return float64(max(r.Memory, 1)) }},
		{state, "by the size of the state", "of state", func(r *takeover.Result) float64 { return float64(max(r.State, 1)) }},
	} {
		all := gapSeries(side.rs, side.x)
		if len(all) == 0 {
			continue
		}
		c.plots = append(c.plots, &line{title: "Gap " + side.title, x: axis{label: side.of, log: true, unit: sized, ticks: xs(all)}, y: axis{label: "gap", log: true, unit: us}, series: all})
		if c.Says != "" {
			c.Says = strings.TrimSuffix(c.Says, ".") + "; "
		}
		c.Says += growth(all[0].points, side.of, sized)
	}
	return c
}

func clientsChart(d *Data) *chart {
	c := &chart{ID: "clients", Title: "Few and many clients, and how they are connected", picture: wide,
		How: "Left: the gap by connection: a requester knows of pairs; foreign TCP is a client that does not, on a connection that stays; new connect is one that connects anew for every request. Right: throughput against the same number of clients without a backup."}
	rs := d.Takeover.Of(takeover.ByClients)
	c.gapTable(rs)
	var all []series
	for i, kind := range []subject.Connection{subject.Requester, subject.Foreign, subject.Fresh} {
		p := gaps(where(rs, func(r *takeover.Result) bool { return r.Connection == kind }), func(r *takeover.Result) float64 { return float64(r.Clients) })
		if len(p) > 0 {
			all = append(all, series{string(kind), i, p})
		}
	}
	if len(all) > 0 {
		c.plots = append(c.plots, &line{title: "Gap at the client", x: axis{label: "clients", log: true, unit: plain, ticks: xs(all)}, y: axis{label: "gap", log: true, unit: us}, series: all})
		var parts []string
		for _, s := range all {
			last := s.points[len(s.points)-1]
			parts = append(parts, fmt.Sprintf("%s: %s with %s", s.name, us(last.y), plain(last.x)))
		}
		c.Says = "median gaps by connection and number of clients: " + strings.Join(parts, "; ") + "."
	}
	if served := clientSeries(d); len(served) > 0 {
		if c.Says == "" {
			c.Says = "throughput by the number of clients; the gaps were not measured."
		}
		c.plots = append(c.plots, &line{title: "Throughput before the failure", x: axis{label: "clients", log: true, unit: plain, ticks: xs(served)},
			y: axis{label: "of that without a backup", unit: percent, zero: true, ticks: quarters(served)}, series: served, mark: 1})
	}
	return c
}
