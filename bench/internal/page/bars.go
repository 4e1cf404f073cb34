package page

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// beside keeps labels that end at a mark away from it, if the reader's letters are wider than those that were measured.
const beside = "\u00a0\u00a0\u00a0"

// bars are stacked, one below the other.
type bars struct {
	title, label string
	names        []string    // of the bars, from the top
	parts        []string    // of each
	values       [][]float64 // of each part: of each bar
}

func (b *bars) plot() (*plot.Plot, error) {
	value := axis{label: b.label, unit: us, zero: true}
	p := newPlot(b.title, value, axis{})
	p.Legend.Left = false
	n := len(b.names)
	total, most := make([]float64, n), 0.0
	var below *plotter.BarChart
	for k, part := range b.parts {
		v := make(plotter.Values, n)
		for i := range v {
			v[n-1-i] = b.values[k][i] // the first bar is on top
			total[i] += b.values[k][i]
			most = max(most, total[i])
		}
		c, err := plotter.NewBarChart(v, vg.Points(14))
		if err != nil {
			return nil, err
		}
		c.Horizontal, c.Color = true, colour(k)
		c.LineStyle.Width = 0
		if below != nil {
			c.StackOn(below)
		}
		below = c
		p.Add(c)
		p.Legend.Add(part+beside, c)
	}
	ticks := make([]plot.Tick, n)
	for i, name := range b.names {
		ticks[i] = plot.Tick{Value: float64(n - 1 - i), Label: name + beside}
	}
	value.apply(&p.X, []float64{0, most})
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = -.6, float64(n)-.2
	p.Y.Tick.Length, p.Y.LineStyle.Width = 0, 0
	return p, nil
}
