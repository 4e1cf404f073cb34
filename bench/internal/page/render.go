package page

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"time"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var pageCSS string

// section is a chart as it stands on the page.
type section struct {
	*chart
	Picture template.HTML // "": there is no data
}

// view is what the template shows.
type view struct {
	*Data
	CSS      template.CSS
	Sections []section
	Void     []string
	Began    string
	Options  string
	Lots     bool // of void measurements: only the first are shown
}

// voidShown is how many void measurements are listed; the others are in report.json.
const voidShown = 20

// Render returns the page and its charts, by the names of their files.
func Render(d *Data) (files map[string][]byte, err error) {
	files = map[string][]byte{}
	v := &view{Data: d, CSS: template.CSS(pageCSS), Void: d.Report.Void, Began: d.Report.Began.Format(time.RFC1123)}
	if v.Lots = len(v.Void) > voidShown; v.Lots {
		v.Void = v.Void[:voidShown]
	}
	v.Options = fmt.Sprintf("--quick=%t --seed=%d", d.Report.Options.Quick, d.Report.Options.Seed)
	for _, c := range charts(d) {
		s := section{chart: c}
		if c.plots != nil {
			if s.Picture, err = c.render(files); err != nil {
				return nil, fmt.Errorf("cannot draw %q: %w", c.Title, err)
			}
		}
		v.Sections = append(v.Sections, s)
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, err
	}
	files["index.html"] = b.Bytes()
	return files, nil
}

// render draws the chart into files, and returns it for the page.
func (c *chart) render(files map[string][]byte) (template.HTML, error) {
	onPage, err := c.picture.svg(c.plots, false)
	if err != nil {
		return "", err
	}
	if files[c.ID+".svg"], err = c.picture.svg(c.plots, true); err != nil {
		return "", err
	}
	if files[c.ID+".png"], err = c.picture.png(c.plots); err != nil {
		return "", err
	}
	return template.HTML(inline(onPage, c.Title)), nil
}
