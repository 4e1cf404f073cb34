package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// report is everything that a run has found, and where.
type report struct {
	Options    *options          `json:"options"`
	Date       time.Time         `json:"date"`
	Commit     string            `json:"commit"`
	Machine    machine           `json:"machine"`
	Versions   map[string]string `json:"versions"`
	Load       float64           `json:"load_average"` // before the run
	Idle       float64           `json:"idle_percent"` // of a processor, used by all contestants together while nobody asks
	Missing    []string          `json:"missing"`
	Failover   []failoverResult  `json:"failover"`
	Throughput []rate            `json:"throughput"`
	began      time.Time
}

// failoverResult is one contestant's.
type failoverResult struct {
	Name      string   `json:"name"`
	What      string   `json:"what"`
	Kills     []kill   `json:"kills"`
	Void      []string `json:"void,omitempty"`   // kills that were no measurement, and why
	Failed    string   `json:"failed,omitempty"` // why there were no more of them
	Histogram string   `json:"histogram"`        // of ns, HdrHistogram V2, compressed, base64
	times     *times
}

// rate is one replicator's with one number of callers.
type rate struct {
	Name      string    `json:"name"`
	What      string    `json:"what"`
	Callers   int       `json:"callers"`
	Rates     []float64 `json:"rates"`     // updates per second, in each round
	ToOurs    float64   `json:"to_ours"`   // median over the rounds of our rate with as many callers, divided by this one; 0: we did not take part
	Histogram string    `json:"histogram"` // of the ns of an update
	times     *times
}

func newReport(o *options) *report {
	now := time.Now()
	return &report{began: now, Options: o, Date: now.UTC().Truncate(time.Second), Commit: commit(), Machine: thisMachine(), Versions: moduleVersions(),
		Load: loadAverage(), Missing: []string{}, Failover: []failoverResult{}, Throughput: []rate{}}
}

// leftOut notes who cannot take part, and says whether it is so.
func (r *report) leftOut(name string, needs []program) bool {
	not := missing(needs)
	for _, p := range not {
		text := fmt.Sprintf("%s does not take part: %s is not installed; the Debian package %s brings it", name, p.command, p.pkg)
		if !slices.Contains(r.Missing, text) {
			r.Missing = append(r.Missing, text)
		}
	}
	return len(not) > 0
}

// versions asks those that are not modules.
func (r *report) versions(ctx context.Context, trials []*trial) {
	for _, t := range trials {
		switch c := t.contestant.(type) {
		case *erlang:
			r.Versions["erlang"] = c.version(ctx)
		case *redisSet:
			r.Versions["redis"] = redisVersion()
		}
	}
}

func (r *report) addFailover(t *trial) {
	f := failoverResult{Name: t.name, What: t.what, Kills: t.kills, Void: t.voids, times: newTimes()}
	for _, k := range t.kills {
		f.times.add(time.Duration(k.NS))
	}
	if t.err != nil {
		f.Failed = t.err.Error()
	}
	f.Histogram = f.times.encoded()
	r.Failover = append(r.Failover, f)
}

func (r *report) addThroughput(races []*race) {
	if v := redisVersion(); v != "" {
		r.Versions["redis"] = v
	}
	ours := map[int][]float64{}
	for _, c := range races {
		for _, x := range c.results {
			if c.name == "tandem" {
				ours[x.callers] = x.rates
			}
			entry := rate{Name: c.name, What: c.what, Callers: x.callers, Rates: x.rates, Histogram: x.took.encoded(), times: x.took}
			r.Throughput = append(r.Throughput, entry)
		}
	}
	for i, x := range r.Throughput {
		var ratios []float64
		for round, v := range x.Rates[:min(len(x.Rates), len(ours[x.Callers]))] {
			ratios = append(ratios, ours[x.Callers][round]/v)
		}
		r.Throughput[i].ToOurs = median(ratios)
	}
}

// failure is an error if a contestant has failed.
func (r *report) failure() error {
	var errs []error
	for _, f := range r.Failover {
		if f.Failed != "" {
			errs = append(errs, fmt.Errorf("%s has failed: %s", f.Name, f.Failed))
		}
	}
	return errors.Join(errs...)
}

func (r *report) print(to io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(to)
		e.SetIndent("", " ")
		return e.Encode(r)
	}
	return r.tables(to)
}
