package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
)

// report is what a verb has found out.
type report struct {
	Verb    string      `json:"verb"`
	Machine machine     `json:"machine"`
	Kernel  string      `json:"kernel"`
	Go      string      `json:"go"`
	Commit  string      `json:"commit"`
	Options *options    `json:"options"`
	Plan    any         `json:"plan"`           // how much was measured
	Stolen  float64     `json:"stolen_percent"` // of the processors' time, by the machine's own host, while it was
	Load    float64     `json:"load_average"`   // at the end: what runs beside the run
	Rows    []row       `json:"rows"`
	Ratios  []ratio     `json:"ratios"`
	Results []*survived `json:"results,omitempty"` // of clients while the primary is killed
	Void    []string    `json:"void"`              // measurements that say nothing, and why
	Notes   []string    `json:"notes"`
}

type machine struct {
	CPU       string `json:"cpu"`
	CPUs      int    `json:"cpus"`
	MemoryMiB uint64 `json:"memory_mib"`
	Arch      string `json:"arch"`
}

// row is the distribution of one figure.
type row struct {
	Name string  `json:"name"`
	Unit string  `json:"unit"`
	N    int64   `json:"n"`
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// ratio compares two figures of the same run.
type ratio struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"` // "": a plain ratio
	Goal  string  `json:"goal,omitempty"` // "": for information
	Met   *bool   `json:"met,omitempty"`
}

func newReport(verb string, o *options, plan any) *report {
	return &report{Verb: verb, Machine: thisMachine(), Kernel: kernel(), Go: runtime.Version(), Commit: commit(), Options: o, Plan: plan,
		Rows: []row{}, Ratios: []ratio{}, Void: []string{}, Notes: []string{}}
}

func (r *report) row(rows ...row) { r.Rows = append(r.Rows, rows...) }

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *report) void(format string, args ...any) {
	r.Void = append(r.Void, fmt.Sprintf(format, args...))
}

// atMost notes a ratio that should not exceed the goal.
func (r *report) atMost(name string, v, goal float64, unit string) {
	met := v <= goal
	r.Ratios = append(r.Ratios, ratio{Name: name, Value: v, Unit: unit, Goal: strings.TrimSpace(fmt.Sprintf("at most %.4g %s", goal, unit)), Met: &met})
}

// atLeast notes a ratio that should reach the goal.
func (r *report) atLeast(name string, v, goal float64) {
	met := v >= goal
	r.Ratios = append(r.Ratios, ratio{Name: name, Value: v, Goal: fmt.Sprintf("at least %.4g", goal), Met: &met})
}

// info notes a ratio that has no goal.
func (r *report) info(name string, v float64) { r.figure(name, v, "") }

// figure notes a figure that has no goal.
func (r *report) figure(name string, v float64, unit string) {
	r.Ratios = append(r.Ratios, ratio{Name: name, Value: v, Unit: unit})
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%s: %d x %s, %d MiB, Linux %s, %s, commit %s, seed %d\n%.1f%% of the processors' time stolen by the host, load average %.1f\n\n",
		r.Verb, r.Machine.CPUs, r.Machine.CPU, r.Machine.MemoryMiB, r.Kernel, r.Go, r.Commit, r.Options.Seed, r.Stolen, r.Load)
	if err := r.printRows(w); err != nil {
		return err
	}
	if err := printSurvived(w, r.Results); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, x := range r.Ratios {
		fmt.Fprintf(w, "%10s  %-6s %s\n", strings.TrimSpace(short(x.Value)+" "+x.Unit), x.verdict(), x.Name+x.goal())
	}
	for _, v := range r.Void {
		fmt.Fprintln(w, "void:", v)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	return nil
}

func (r *report) printRows(w io.Writer) error {
	if len(r.Rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "n\tmin\tp50\tp90\tp99\tmax\tunit\t  \b")
	for _, x := range r.Rows {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", x.N, short(x.Min), short(x.P50), short(x.P90), short(x.P99), short(x.Max), x.Unit, x.Name)
	}
	return t.Flush()
}

func (x ratio) verdict() string {
	switch {
	case x.Met == nil:
		return ""
	case *x.Met:
		return "met"
	}
	return "MISSED"
}

func (x ratio) goal() string {
	if x.Goal == "" {
		return ""
	}
	return " (goal: " + x.Goal + ")"
}

// short prints a figure with three digits or so.
func short(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
