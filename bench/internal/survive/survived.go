package survive

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
)

// survived is what became of one client while the primary was killed.
type survived struct {
	Client   string `json:"client"`
	Pipeline int    `json:"pipeline,omitempty"` // requests in flight on each connection
	Sync     bool   `json:"sync,omitempty"`     // of a file: every line is on the disk before it is acknowledged
	LeftOut  string `json:"left_out,omitempty"` // why it was not run, and what to do about that

	Kills       int     `json:"kills"`
	Unprotected float64 `json:"unprotected_ms"`    // from each kill to the next synchronised backup, in all
	Requests    int     `json:"requests"`          // answered
	Errors      int     `json:"errors"`            // of any kind that the client knows
	Accepting   int     `json:"resets_accepting"`  // connections reset by a kill in the moment they were accepted: no errors
	Checked     int     `json:"checked,omitempty"` // replies to INCR on other connections meanwhile, each compared with what it must be
	Wrong       int     `json:"wrong"`             // replies other than expected; requests handled twice, or not at all

	Rate        float64     `json:"rate"`                   // answered per second; of redis-benchmark: without kills
	RateSimplex float64     `json:"rate_simplex,omitempty"` // of the same server without a backup
	Ratio       float64     `json:"ratio,omitempty"`        // median over the rounds
	Tests       []testRates `json:"tests,omitempty"`        // what the two rates consist of
	WaitP50     float64     `json:"wait_p50_us,omitempty"`  // after each kill, of the longest time without one of the checked replies
	WaitMax     float64     `json:"wait_max_us,omitempty"`

	Said []string `json:"said,omitempty"` // what told of the errors: the first of it
}

// fail takes note of errors and of what told of them.
func (v *survived) fail(errors int, said ...string) {
	const most = 10
	v.Errors += errors
	v.Said = append(v.Said, said[:min(len(said), max(0, most-len(v.Said)))]...)
}

// under takes over what the killer knows.
func (v *survived) under(k *subject.Killer) {
	v.Kills, v.Unprotected = len(k.At), float64(k.Unprotected)/1e6
	if k.Strays > 0 {
		v.Said = append(v.Said, fmt.Sprintf("%d takeovers besides", k.Strays))
	}
}

// per sets the rate.
func (v *survived) per(took time.Duration) { v.Rate = float64(v.Requests) / took.Seconds() }

// survivors are what became of all clients.
type survivors []*survived

var _ figures.Table = survivors(nil)

// Print prints a table.
func (all survivors) Print(w io.Writer) error {
	if len(all) == 0 {
		return nil
	}
	known := func(v float64) string {
		if v == 0 {
			return ""
		}
		return figures.Short(v)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "kills\tms unprotected\trequests\terrors\tresets\tchecked\twrong\tper second\tno backup\tlongest wait p50\tmax, µs\t  \b")
	for _, v := range all {
		if v.LeftOut == "" {
			fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t%s\t  %s\n", v.Kills, known(v.Unprotected), v.Requests, v.Errors,
				v.Accepting, known(float64(v.Checked)), v.Wrong, known(v.Rate), known(v.RateSimplex), known(v.WaitP50), known(v.WaitMax), v.name())
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, v := range all {
		if v.LeftOut != "" {
			fmt.Fprintf(w, "left out: %s: %s\n", v.name(), v.LeftOut)
		}
		for _, line := range v.Said {
			fmt.Fprintf(w, "%s: %s\n", v.name(), line)
		}
	}
	return nil
}

// name tells the results of one client apart.
func (v *survived) name() string {
	name := v.Client
	if v.Sync {
		name += ", synchronous"
	}
	if v.Pipeline > 0 {
		name += fmt.Sprintf(", %d in flight", v.Pipeline)
	}
	return name
}
