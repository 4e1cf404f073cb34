package page

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours that can be told apart on light and on dark ground, also by those who do not see red and green apart.
var palette = []color.RGBA{{0x2b, 0x7b, 0xd1, 255}, {0xd9, 0x82, 0x1b, 255}, {0x1f, 0x9e, 0x77, 255}, {0x9b, 0x6b, 0xc7, 255}, {0xc4, 0x4e, 0x6b, 255}, {0x80, 0x80, 0x80, 255}}

func colour(i int) color.RGBA { return palette[i%len(palette)] }

// point is one of a series; low and high are the ends of its whisker, if they are not 0.
type point struct{ x, y, low, high float64 }

// series is one line of a chart.
type series struct {
	name   string
	colour int
	points []point
}

// axis is one side of a chart.
type axis struct {
	label string
	log   bool
	unit  func(float64) string // how a tick is written
	ticks []float64            // empty: chosen
	zero  bool                 // begins at 0
}

// line is a chart of lines.
type line struct {
	title  string
	x, y   axis
	series []series
	mark   float64 // a line across at this height; 0: none
}

// drawable draws itself into a part of a picture.
type drawable interface {
	plot() (*plot.Plot, error)
}

const textSize = 11

func newPlot(title string, x, y axis) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x.label, y.label
	p.Title.Padding = vg.Points(6)
	for _, s := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		s.Variant, s.Size = "Sans", vg.Points(textSize)
	}
	p.Title.TextStyle.Font.Size = vg.Points(textSize + 1)
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(2)
	return p
}

func (l *line) plot() (*plot.Plot, error) {
	l.drop()
	p := newPlot(l.title, l.x, l.y)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xb0}, color.Gray{0xb0}
	grid.Vertical.Width, grid.Horizontal.Width = vg.Points(.3), vg.Points(.3)
	p.Add(grid)
	for _, s := range l.series {
		if err := s.add(p); err != nil {
			return nil, err
		}
	}
	if l.mark != 0 {
		p.Add(across(l.mark))
	}
	l.x.apply(&p.X, l.values(func(p point) []float64 { return []float64{p.x} }))
	l.y.apply(&p.Y, append(l.values(func(p point) []float64 { return []float64{p.y, p.low, p.high} }), l.mark))
	return p, nil
}

// drop leaves out what has no place on an axis that has no 0.
func (l *line) drop() {
	for i := range l.series {
		s := &l.series[i]
		s.points = slices.DeleteFunc(slices.Clone(s.points), func(p point) bool { return l.x.log && p.x <= 0 || l.y.log && p.y <= 0 })
	}
	l.series = slices.DeleteFunc(slices.Clone(l.series), func(s series) bool { return len(s.points) == 0 })
}

func (l *line) values(of func(point) []float64) (all []float64) {
	for _, s := range l.series {
		for _, p := range s.points {
			all = append(all, of(p)...)
		}
	}
	return all
}

// across is a horizontal line.
func across(y float64) *plotter.Function {
	f := plotter.NewFunction(func(float64) float64 { return y })
	f.Dashes, f.Color = []vg.Length{vg.Points(3), vg.Points(3)}, colour(5)
	return f
}

func (s *series) add(p *plot.Plot) error {
	xys, bars := make(plotter.XYs, len(s.points)), make(plotter.YErrors, len(s.points))
	whiskers := false
	for i, q := range s.points {
		xys[i] = plotter.XY{X: q.x, Y: q.y}
		if q.high > q.y {
			bars[i].High, whiskers = q.high-q.y, true
		}
		if q.low > 0 && q.low < q.y {
			bars[i].Low, whiskers = q.y-q.low, true
		}
	}
	ln, dots, err := plotter.NewLinePoints(xys)
	if err != nil {
		return err
	}
	ln.Color, ln.Width = colour(s.colour), vg.Points(1.6)
	dots.Color, dots.Shape, dots.Radius = colour(s.colour), draw.CircleGlyph{}, vg.Points(3)
	p.Add(ln, dots)
	if whiskers {
		e, err := plotter.NewYErrorBars(struct {
			plotter.XYs
			plotter.YErrors
		}{xys, bars})
		if err != nil {
			return err
		}
		e.Color = colour(s.colour)
		p.Add(e)
	}
	if s.name != "" {
		p.Legend.Add(s.name, ln, dots)
	}
	return nil
}

// apply sets scale, range and ticks.
func (a *axis) apply(to *plot.Axis, values []float64) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 || !a.log && v == 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high { // nothing
		low, high = 1, 10
	}
	switch {
	case a.log:
		to.Scale = plot.LogScale{}
		to.Min, to.Max = low/1.3, high*1.3
		if len(a.ticks) == 0 {
			to.Min, to.Max = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)+.15)) // room for the legend
		}
	case a.zero:
		to.Min, to.Max = 0, high*1.25
	default:
		to.Min, to.Max = low, high
	}
	if to.Min == to.Max {
		to.Max = to.Min + 1
	}
	to.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick { return a.marks(low, high) })
}

func (a *axis) marks(low, high float64) (ticks []plot.Tick) {
	switch {
	case len(a.ticks) > 0:
		for _, v := range a.ticks {
			ticks = append(ticks, plot.Tick{Value: v})
		}
	case a.log:
		for v := math.Pow(10, math.Floor(math.Log10(low))); v <= high*1.01; v *= 10 {
			ticks = append(ticks, plot.Tick{Value: v})
		}
	default:
		ticks = plot.DefaultTicks{}.Ticks(low, high)
	}
	for i := range ticks {
		if ticks[i].Value == 0 && ticks[i].Label != "" {
			ticks[i].Label = "0"
		} else if len(a.ticks) > 0 || a.log || ticks[i].Label != "" {
			ticks[i].Label = a.unit(ticks[i].Value)
		}
	}
	return ticks
}

// picture is several plots beside each other.
type picture struct{ width, height vg.Length }

var wide = picture{26 * vg.Centimeter, 10 * vg.Centimeter}

func (p picture) draw(c draw.Canvas, plots []drawable) error {
	row := make([]*plot.Plot, len(plots))
	for i, d := range plots {
		var err error
		if row[i], err = d.plot(); err != nil {
			return err
		}
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: vg.Points(14), PadTop: vg.Points(4), PadBottom: vg.Points(4), PadLeft: vg.Points(4), PadRight: vg.Points(8)}
	for i, canvas := range plot.Align([][]*plot.Plot{row}, tiles, c)[0] {
		row[i].Draw(canvas)
	}
	return nil
}

// svg draws on the ground of whatever it is put on, or on white.
func (p picture) svg(plots []drawable, white bool) ([]byte, error) {
	c := vgsvg.New(p.width, p.height)
	if white {
		p.ground(c)
	}
	if err := p.draw(draw.New(c), plots); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err := c.WriteTo(&b)
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")), err
}

func (p picture) png(plots []drawable) ([]byte, error) {
	c := vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(110)) // on white by itself
	if err := p.draw(draw.New(c), plots); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(&b)
	return b.Bytes(), err
}

func (p picture) ground(c vg.Canvas) {
	c.SetColor(color.White)
	c.Fill(vg.Rectangle{Max: vg.Point{X: p.width, Y: p.height}}.Path())
}

// inline makes a picture part of a page: black becomes the colour of the page's text.
func inline(svg []byte, label string) string {
	s := string(svg)
	if i := strings.Index(s, "<svg"); i >= 0 {
		s = s[i:]
	}
	s = strings.ReplaceAll(s, "#000000", "currentColor")
	return strings.Replace(s, "<svg ", fmt.Sprintf(`<svg role="img" aria-label="%s" fill="currentColor" `, label), 1)
}
