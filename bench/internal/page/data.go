package page

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/handover"
	"github.com/1fb4ed1c/tandem/bench/internal/restore"
	"github.com/1fb4ed1c/tandem/bench/internal/serving"
	"github.com/1fb4ed1c/tandem/bench/internal/takeover"
)

// Data is everything that is on the page. What was not measured is empty.
type Data struct {
	Takeover   takeover.Results `json:"takeover"`
	Serve      serving.Points   `json:"serve"`
	Restore    restore.Points   `json:"restore"`
	Checkpoint handover.Costs   `json:"checkpoint"`

	Report *figures.Report `json:"-"` // says what machine it was, and how
}

var _ figures.Table = (*Data)(nil)

// Print prints all tables.
func (d *Data) Print(w io.Writer) error {
	for _, t := range []figures.Table{d.Takeover, d.Serve, d.Restore, d.Checkpoint} {
		if err := t.Print(w); err != nil {
			return err
		}
	}
	return nil
}

// Sentences are those of all charts that have data.
func (d *Data) Sentences() (all []string) {
	for _, c := range charts(d) {
		if c.plots != nil {
			all = append(all, c.Title+": "+c.Says)
		}
	}
	return all
}

// mode names a mode for people.
func modeName(mode string) string {
	switch mode {
	case "primary-computes":
		return "primary computes"
	case "backup-computes-lazy":
		return "backup computes lazily"
	case "backup-computes-eager":
		return "backup computes eagerly"
	}
	return mode
}

// us prints microseconds, with three digits or so.
func us(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v >= 1e6:
		return digits(v/1e6) + " s"
	case v >= 1e3:
		return digits(v/1e3) + " ms"
	}
	return digits(v) + " µs"
}

func digits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// span prints a duration.
func span(d time.Duration) string { return us(float64(d) / 1e3) }

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

func mib(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%d GiB", n/1024)
	}
	return fmt.Sprintf("%d MiB", n)
}
