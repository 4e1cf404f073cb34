package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// tables prints the report for people.
func (r *report) tables(to io.Writer) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	r.head(t)
	if len(r.Failover) > 0 {
		r.failoverTable(t)
	}
	if len(r.Throughput) > 0 {
		r.throughputTable(t)
	}
	for _, text := range r.Missing {
		fmt.Fprintln(t, text)
	}
	return t.Flush()
}

func (r *report) head(t io.Writer) {
	m := r.Machine
	fmt.Fprintf(t, "%s, seed %d, commit %s\n", r.Date.Format(time.RFC3339), r.Options.Seed, r.Commit)
	fmt.Fprintf(t, "%d × %s, %d MiB, Linux %s %s, load %.1f before the run\n", m.CPUs, m.CPU, m.MemoryMiB, m.Kernel, m.Arch, r.Load)
	var v []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		v = append(v, name+" "+r.Versions[name])
	}
	fmt.Fprintf(t, "%s\n\n", strings.Join(v, ", "))
}

func (r *report) failoverTable(t io.Writer) {
	fmt.Fprintf(t, "Failover: from kill -9 of the process that serves to the client's next acknowledged addition (ms).\n")
	fmt.Fprintf(t, "All of them run all the time; together they use %.0f %% of a processor while nobody asks.\n\n", r.Idle)
	fmt.Fprintf(t, "\tkills\tmin\tp50\tp90\tmax\tp50 / ours\tlost\tdoubled\t\n")
	ours := time.Duration(0)
	for _, f := range r.Failover {
		if f.Name == "tandem" && len(f.Kills) > 0 {
			ours = f.times.at(50)
		}
	}
	for _, f := range r.Failover {
		if len(f.Kills) == 0 {
			fmt.Fprintf(t, "%s\t0\t\t\t\t\t\t\t%s\t\n", f.Name, f.What)
			continue
		}
		ratio := "-"
		if ours > 0 {
			ratio = short(float64(f.times.at(50)) / float64(ours))
		}
		var lost, doubled int64
		for _, k := range f.Kills {
			lost, doubled = lost+k.Lost, doubled+k.Doubled
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t\n", f.Name, len(f.Kills), short(ms(f.times.at(0))), short(ms(f.times.at(50))),
			short(ms(f.times.at(90))), short(ms(f.times.at(100))), ratio, lost, doubled, f.What)
	}
	fmt.Fprintln(t)
	for _, f := range r.Failover {
		for _, why := range f.Void {
			fmt.Fprintf(t, "%s: %s\n", f.Name, why)
		}
	}
	if err := r.failure(); err != nil {
		fmt.Fprintln(t, err)
	}
}

func (r *report) throughputTable(t io.Writer) {
	fmt.Fprintf(t, "Throughput: updates of %d B, each held by a second process when it is acknowledged. Rates are medians of the rounds.\n\n", payloadSize)
	fmt.Fprintf(t, "\tcallers\tupdates/s\tp50 µs\tp99 µs\tour rate / this\t\n")
	for _, x := range r.Throughput {
		ratio := "-"
		if x.ToOurs > 0 {
			ratio = short(x.ToOurs)
		}
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t\n", x.Name, x.Callers, median(x.Rates), short(us(x.times.at(50))), short(us(x.times.at(99))), ratio, x.What)
	}
	fmt.Fprintln(t)
}

// short prints a number with three digits or so.
func short(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 1:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.3f", x)
}
