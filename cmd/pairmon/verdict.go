package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/1fb4ed1c/tandem/examples/bank/bank"
)

// verdict is what a demo has shown. Times are in microseconds. Its JSON form is the last line of `pairmon demo --json`.
type verdict struct {
	Kills       int       `json:"kills"` // made, under load
	Requests    int64     `json:"requests"`
	Lost        int64     `json:"lost"`
	Duplicated  int64     `json:"duplicated"`
	Gap         quantiles `json:"gap_us"`         // around each kill, of each client
	Unprotected quantiles `json:"unprotected_us"` // from each kill to the next synchronised backup

	CalmGap    quantiles            `json:"calm_gap_us"` // as gap_us, just before each kill: what the machine does anyway
	Failed     int64                `json:"failed"`      // requests that ended with an error
	Audits     int64                `json:"audits"`
	Unbalanced int64                `json:"unbalanced"` // audits that found money appeared or vanished
	Phases     map[string]quantiles `json:"phases_us"`  // of the takeovers, from the kill
	Clients    int                  `json:"clients"`
	Seconds    float64              `json:"seconds"`
	Seed       uint64               `json:"seed"`
	Error      string               `json:"error,omitempty"` // why the demo did not come to its end
}

// quantiles of a few hundred samples at most: exact ones, by nearest rank.
type quantiles struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

func quantilesOf(samples []time.Duration) quantiles {
	if len(samples) == 0 {
		return quantiles{}
	}
	s := slices.Sorted(slices.Values(samples))
	at := func(q float64) int64 {
		return s[max(int(math.Ceil(q*float64(len(s))))-1, 0)].Microseconds()
	}
	return quantiles{P50: at(.50), P99: at(.99), Max: at(1)}
}

// judgeDemo sums up.
func judgeDemo(takeovers []takeover, r bank.Result, failure error) verdict {
	v := verdict{Kills: len(takeovers), Requests: r.Requests, Lost: r.Lost, Duplicated: r.Duplicated, Failed: r.Failed,
		Audits: r.Audits, Unbalanced: r.Unbalanced, Clients: len(r.Clients), Phases: map[string]quantiles{}}
	var gaps, calm, unprotected []time.Duration
	phases := map[string][]time.Duration{}
	for i := range takeovers {
		t := &takeovers[i]
		gaps = append(gaps, t.gaps...)
		calm = append(calm, t.calm...)
		unprotected = append(unprotected, t.unprotected())
		for _, p := range t.phases {
			if p.at > 0 {
				name := strings.ReplaceAll(p.name, " ", "_")
				phases[name] = append(phases[name], p.at)
			}
		}
	}
	v.Gap, v.CalmGap, v.Unprotected = quantilesOf(gaps), quantilesOf(calm), quantilesOf(unprotected)
	for name, samples := range phases {
		v.Phases[name] = quantilesOf(samples)
	}
	switch {
	case failure != nil:
		v.Error = failure.Error()
	case r.Err != nil:
		v.Error = r.Err.Error()
	}
	return v
}

// ok tells whether the pair kept its promise, to the end.
func (v *verdict) ok() bool {
	return v.Lost == 0 && v.Duplicated == 0 && v.Failed == 0 && v.Unbalanced == 0 && v.Error == ""
}

// write shows the verdict to a person.
func (v *verdict) write(w io.Writer) {
	fmt.Fprintf(w, "\nThe primary was killed %d times under the load of %d clients, in %.1f s (seed %d).\n", v.Kills, v.Clients, v.Seconds, v.Seed)
	fmt.Fprintf(w, "  requests     %d answered, %d failed\n", v.Requests, v.Failed)
	fmt.Fprintf(w, "  lost         %d\n", v.Lost)
	fmt.Fprintf(w, "  duplicated   %d\n", v.Duplicated)
	fmt.Fprintf(w, "  audits       %d, of which %d found money missing or too much\n", v.Audits, v.Unbalanced)
	fmt.Fprintf(w, "  gap          %s   between two replies, for a client, at a kill\n", v.Gap)
	fmt.Fprintf(w, "    if calm    %s   the same in the moments before, without a kill\n", v.CalmGap)
	fmt.Fprintf(w, "  unprotected  %s   until a new backup holds everything\n", v.Unprotected)
	switch {
	case v.ok():
		fmt.Fprintln(w, "Nothing was lost, nothing was done twice.")
	case v.Error != "":
		fmt.Fprintln(w, "The demo did not come to its end:", v.Error)
	default:
		fmt.Fprintln(w, "THE PAIR BROKE ITS PROMISE.")
	}
}

// String shows the quantiles in milliseconds.
func (q quantiles) String() string {
	us := func(n int64) string { return ms(time.Duration(n) * time.Microsecond) }
	return fmt.Sprintf("p50 %-10s p99 %-10s max %-10s", us(q.P50), us(q.P99), us(q.Max))
}
