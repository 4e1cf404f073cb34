package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/1fb4ed1c/tandem/bench/internal/handover"
	"github.com/1fb4ed1c/tandem/bench/internal/serving"
)

// clientSeries is the throughput by number of clients, against no backup.
func clientSeries(d *Data) (all []series) {
	for _, m := range serving.Modes() {
		var points []point
		for _, p := range d.Serve {
			if p.Mode == m && p.Work == serving.LeastWork && p.Ratio > 0 {
				points = append(points, point{x: float64(p.Clients), y: p.Ratio})
			}
		}
		slices.SortFunc(points, func(a, b point) int { return int(a.x - b.x) })
		if len(points) > 0 {
			all = append(all, series{modeName(m), modeColour(m), points})
		}
	}
	return all
}

// processorChart is the cost that does not depend on how busy the machine is.
func processorChart(d *Data) *chart {
	c := &chart{ID: "processor", Title: "Processor time of a request, before the failure", picture: wide,
		How: "Left: what primary and backup use together for one request, compared with the service without a backup, in turns; 100 % is no cost. Right: the backup's part of it. " +
			"Unlike throughput, this hardly depends on what else the machine does."}
	c.Columns = []string{"mode", "clients", "computing", "throughput per second", "of that without a backup", "primary per request", "backup per request", "both, of that without a backup", "wait p50", "wait p99"}
	for _, p := range d.Serve {
		c.Rows = append(c.Rows, []string{modeName(p.Mode), count(p.Clients), span(p.Work), plain(p.Rate.P50), percent(p.Ratio), us(p.Primary.P50), us(p.Backup.P50), percent(p.CPURatio),
			us(p.Wait.P50), us(p.Wait.P99)})
	}
	both := workSeries(d.Serve, func(p *serving.Point) float64 { return p.CPURatio })
	backup := workSeries(d.Serve, func(p *serving.Point) float64 { return p.Backup.P50 })
	if len(both) == 0 {
		return c
	}
	c.plots = []drawable{&line{title: "Primary and backup together", x: axis{label: "computing per request", log: true, unit: us, ticks: xs(both)},
		y: axis{label: "of that without a backup", unit: percent, zero: true, ticks: quarters(both)}, series: both, mark: 1}}
	if len(backup) > 0 {
		c.plots = append(c.plots, &line{title: "The backup's part", x: axis{label: "computing per request", log: true, unit: us, ticks: xs(backup)},
			y: axis{label: "processor time of a request", log: true, unit: us}, series: backup})
	}
	var parts []string
	for _, s := range both {
		first, last := s.points[0], s.points[len(s.points)-1]
		parts = append(parts, fmt.Sprintf("%s where the %s (%s with %s)", percent(first.y), s.name, percent(last.y), us(last.x)))
	}
	c.Says = fmt.Sprintf("with %s of computing both use, of what the service uses without a backup: %s.", us(both[0].points[0].x), strings.Join(parts, ", "))
	return c
}

func restoreChart(d *Data) *chart {
	c := &chart{ID: "restore", Title: "Until the pair is protected again", picture: wide,
		How: "The backup was killed, and a new one is started and filled while requests go on. Left: from the kill to the synchronised new backup. Right: the longest wait of a request meanwhile, beside the longest in as long a time without filling."}
	c.Columns = []string{"state", "fillings", "until synchronised p50", "max", "longest wait p50", "without filling p50"}
	var took, with, without []point
	ms := func(v float64) string { return us(v * 1e3) }
	for _, p := range d.Restore {
		if p.NotRun != "" {
			c.NotRun = append(c.NotRun, fmt.Sprintf("state of %s %s", mib(p.StateMiB), p.NotRun))
			continue
		}
		c.Rows = append(c.Rows, []string{mib(p.StateMiB), count(int(p.Took.N)), ms(p.Took.P50), ms(p.Took.Max), ms(p.With.P50), ms(p.Without.P50)})
		x := float64(max(p.StateMiB, 1))
		took = append(took, point{x, p.Took.P50, p.Took.Min, p.Took.Max})
		with = append(with, point{x, p.With.P50, p.With.Min, p.With.Max})
		without = append(without, point{x, p.Without.P50, p.Without.Min, p.Without.Max})
	}
	if len(took) == 0 {
		return c
	}
	x := axis{label: "state", log: true, unit: sized, ticks: xs([]series{{points: took}})}
	c.plots = []drawable{
		&line{title: "From the old backup's end to the new one", x: x, y: axis{label: "unprotected", log: true, unit: ms}, series: []series{{"", 0, took}}},
		&line{title: "The longest wait of a request", x: x, y: axis{label: "wait", log: true, unit: ms}, series: []series{{"while a backup is filled", 0, with}, {"without filling", 5, without}}},
	}
	last := len(took) - 1
	c.Says = fmt.Sprintf("with %s of state a new backup is synchronised after %s; the longest wait meanwhile is %s, and %s without filling.", sized(took[last].x), ms(took[last].y), ms(with[last].y), ms(without[last].y))
	return c
}

func checkpointChart(d *Data) *chart {
	c := &chart{ID: "checkpoint", Title: "What one checkpoint costs the primary", picture: picture{wide.width * .7, wide.height * 1.1},
		How: "By size, each kind measured in turns: written to the log, against a bare copy into the same kind of memory, a unix socket, and TCP over loopback. Nobody is waited for in any of them."}
	c.Columns = []string{"kind", "bytes", "rounds", "p50 ns", "p99 ns", "of the bare copy"}
	by := map[string][]point{}
	var order []string
	for _, k := range d.Checkpoint {
		c.Rows = append(c.Rows, []string{k.Kind, count(k.Bytes), count(int(k.NS.N)), fmt.Sprintf("%.0f", k.NS.P50), fmt.Sprintf("%.0f", k.NS.P99), times(k.Ratio) + " times"})
		if k.NS.P50 <= 0 {
			continue
		}
		if by[k.Kind] == nil {
			order = append(order, k.Kind)
		}
		by[k.Kind] = append(by[k.Kind], point{x: float64(k.Bytes), y: k.NS.P50 / 1e3})
	}
	if len(order) == 0 {
		return c
	}
	var all []series
	for i, kind := range order {
		all = append(all, series{kind, i, by[kind]})
	}
	c.plots = []drawable{&line{x: axis{label: "bytes", log: true, unit: plain, ticks: xs(all)}, y: axis{label: "one checkpoint (p50)", log: true, unit: nanos}, series: all}}
	first := d.Checkpoint[0].Bytes
	var parts []string
	for _, k := range d.Checkpoint {
		if k.Bytes == first && k.Kind != handover.PlainCopy {
			parts = append(parts, fmt.Sprintf("%s %s times", k.Kind, times(k.Ratio)))
		}
	}
	c.Says = fmt.Sprintf("of %d bytes, against a bare copy: %s.", first, strings.Join(parts, ", "))
	return c
}

// nanos prints microseconds, of which there may be few.
func nanos(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.0f ns", v*1e3)
	}
	return us(v)
}
