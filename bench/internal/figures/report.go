package figures

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Options are those of every verb.
type Options struct {
	JSON  bool   `json:"-"`
	Quick bool   `json:"quick"`
	Seed  uint64 `json:"seed"`
	Pprof string `json:"pprof,omitempty"`
}

// Report is what a verb has found out.
type Report struct {
	Verb    string    `json:"verb"`
	Machine Machine   `json:"machine"`
	Kernel  string    `json:"kernel"`
	Go      string    `json:"go"`
	Commit  string    `json:"commit"`
	Began   time.Time `json:"began"`
	Options *Options  `json:"options"`
	Plan    any       `json:"plan"`           // how much was measured
	Stolen  float64   `json:"stolen_percent"` // of the processors' time, by the machine's own host, while it was
	Load    float64   `json:"load_average"`   // at the end: what runs beside the run
	Rows    []Row     `json:"rows"`
	Ratios  []Ratio   `json:"ratios"`
	Results Table     `json:"results,omitempty"` // what is more than a row
	Void    []string  `json:"void"`              // measurements that say nothing, and why
	Notes   []string  `json:"notes"`
}

// Table is results that print themselves, and are JSON as they stand.
type Table interface{ Print(w io.Writer) error }

// Machine is what the figures hold for.
type Machine struct {
	CPU       string `json:"cpu"`
	CPUs      int    `json:"cpus"`
	MemoryMiB uint64 `json:"memory_mib"`
	Arch      string `json:"arch"`
}

// Row is the distribution of one figure.
type Row struct {
	Name string  `json:"name"`
	Unit string  `json:"unit"`
	N    int64   `json:"n"`
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// Ratio compares two figures of the same run.
type Ratio struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"` // "": a plain ratio
	Goal  string  `json:"goal,omitempty"` // "": for information
	Met   *bool   `json:"met,omitempty"`
}

// NewReport returns an empty report of this machine and this program.
func NewReport(verb string, o *Options, plan any) *Report {
	return &Report{Verb: verb, Machine: thisMachine(), Kernel: kernel(), Go: runtime.Version(), Commit: commit(), Began: time.Now().UTC(), Options: o, Plan: plan,
		Rows: []Row{}, Ratios: []Ratio{}, Void: []string{}, Notes: []string{}}
}

// Append takes what a part of the run has found out.
func (r *Report) Append(o *Report) {
	r.Rows, r.Ratios = append(r.Rows, o.Rows...), append(r.Ratios, o.Ratios...)
	r.Void, r.Notes = append(r.Void, o.Void...), append(r.Notes, o.Notes...)
}

// Row adds distributions.
func (r *Report) Row(rows ...Row) { r.Rows = append(r.Rows, rows...) }

// Note adds a remark.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Voided adds a measurement that says nothing, and why.
func (r *Report) Voided(format string, args ...any) {
	r.Void = append(r.Void, fmt.Sprintf(format, args...))
}

// AtMost notes a ratio that should not exceed the goal.
func (r *Report) AtMost(name string, v, goal float64, unit string) {
	met := v <= goal
	r.Ratios = append(r.Ratios, Ratio{Name: name, Value: v, Unit: unit, Goal: strings.TrimSpace(fmt.Sprintf("at most %.4g %s", goal, unit)), Met: &met})
}

// AtLeast notes a ratio that should reach the goal.
func (r *Report) AtLeast(name string, v, goal float64) {
	met := v >= goal
	r.Ratios = append(r.Ratios, Ratio{Name: name, Value: v, Goal: fmt.Sprintf("at least %.4g", goal), Met: &met})
}

// Info notes a ratio that has no goal.
func (r *Report) Info(name string, v float64) { r.Figure(name, v, "") }

// Figure notes a figure that has no goal.
func (r *Report) Figure(name string, v float64, unit string) {
	r.Ratios = append(r.Ratios, Ratio{Name: name, Value: v, Unit: unit})
}

// Print writes the report for a human, or as one JSON object.
func (r *Report) Print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%s: %d x %s, %d MiB, Linux %s, %s, commit %s, seed %d\n%.1f%% of the processors' time stolen by the host, load average %.1f\n\n",
		r.Verb, r.Machine.CPUs, r.Machine.CPU, r.Machine.MemoryMiB, r.Kernel, r.Go, r.Commit, r.Options.Seed, r.Stolen, r.Load)
	if err := r.printRows(w); err != nil {
		return err
	}
	if r.Results != nil {
		if err := r.Results.Print(w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, x := range r.Ratios {
		fmt.Fprintf(w, "%10s  %-6s %s\n", strings.TrimSpace(Short(x.Value)+" "+x.Unit), x.verdict(), x.Name+x.goal())
	}
	for _, v := range r.Void {
		fmt.Fprintln(w, "void:", v)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	return nil
}

func (r *Report) printRows(w io.Writer) error {
	if len(r.Rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "n\tmin\tp50\tp90\tp99\tmax\tunit\t  \b")
	for _, x := range r.Rows {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", x.N, Short(x.Min), Short(x.P50), Short(x.P90), Short(x.P99), Short(x.Max), x.Unit, x.Name)
	}
	return t.Flush()
}

func (x Ratio) verdict() string {
	switch {
	case x.Met == nil:
		return ""
	case *x.Met:
		return "met"
	}
	return "MISSED"
}

func (x Ratio) goal() string {
	if x.Goal == "" {
		return ""
	}
	return " (goal: " + x.Goal + ")"
}

// Short prints a figure with three digits or so.
func Short(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
