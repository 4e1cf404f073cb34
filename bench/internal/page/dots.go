package page

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// dots are values with whiskers, a row for each name. The x of a point is the number of its row.
type dots struct {
	label  string
	names  []string
	series []series
}

func (d *dots) plot() (*plot.Plot, error) {
	value := axis{label: d.label, log: true, unit: us}
	p := newPlot("", value, axis{})
	p.Legend.Left = false
	var values []float64
	for i, s := range d.series {
		offset := .16 * (float64(len(d.series)-1)/2 - float64(i)) // series of one row do not hide each other
		xys, bars := make(plotter.XYs, len(s.points)), make(plotter.XErrors, len(s.points))
		for k, q := range s.points {
			xys[k] = plotter.XY{X: q.y, Y: float64(len(d.names)-1) - q.x + offset}
			bars[k].High = max(0, q.high-q.y)
			if q.low > 0 {
				bars[k].Low = max(0, q.y-q.low)
			}
			values = append(values, q.y, q.high, q.low)
		}
		e, err := plotter.NewXErrorBars(struct {
			plotter.XYs
			plotter.XErrors
		}{xys, bars})
		if err != nil {
			return nil, err
		}
		scatter, err := plotter.NewScatter(xys)
		if err != nil {
			return nil, err
		}
		e.Color, scatter.Color = colour(s.colour), colour(s.colour)
		scatter.Shape, scatter.Radius = draw.CircleGlyph{}, vg.Points(4)
		p.Add(e, scatter)
		p.Legend.Add(s.name+beside, scatter)
	}
	ticks := make([]plot.Tick, len(d.names))
	for i, name := range d.names {
		ticks[i] = plot.Tick{Value: float64(len(d.names) - 1 - i), Label: name + beside}
	}
	value.apply(&p.X, values)
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = -.6, float64(len(d.names))
	p.Y.Tick.Length, p.Y.LineStyle.Width = 0, 0
	return p, nil
}
