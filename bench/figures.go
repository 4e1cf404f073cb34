package main

import (
	"slices"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// times is a distribution of durations, from 1 ns to a minute, exact to one part in a thousand.
type times struct{ h *hdr.Histogram }

func newTimes() *times { return &times{hdr.New(1, int64(time.Minute), 3)} }

func (t *times) add(d time.Duration) { _ = t.h.RecordValue(min(max(int64(d), 1), int64(time.Minute))) }
func (t *times) merge(o *times)      { t.h.Merge(o.h) }
func (t *times) n() int64            { return t.h.TotalCount() }
func (t *times) at(percent float64) time.Duration {
	return time.Duration(t.h.ValueAtPercentile(percent))
}
func (t *times) max() time.Duration { return time.Duration(t.h.Max()) }

// row returns the distribution in microseconds.
func (t *times) row(name string) row {
	us := func(ns int64) float64 { return float64(ns) / 1e3 }
	return row{Name: name, Unit: "µs", N: t.n(), Min: us(t.h.Min()), P50: us(int64(t.at(50))), P90: us(int64(t.at(90))),
		P99: us(int64(t.at(99))), Max: us(t.h.Max())}
}

// values is a handful of figures, one of each round.
type values []float64

// at returns the value below which the given part (0…1) of all lie.
func (v values) at(part float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[min(int(part*float64(len(s))), len(s)-1)]
}

func (v values) median() float64 { return v.at(.5) }

func (v values) row(name, unit string) row {
	return row{Name: name, Unit: unit, N: int64(len(v)), Min: v.at(0), P50: v.median(), P90: v.at(.9), P99: v.at(.99), Max: v.at(1)}
}

// ratios divides the figures of the same rounds.
func ratios(over, under values) values {
	var out values
	for i := range min(len(over), len(under)) {
		out = append(out, over[i]/under[i])
	}
	return out
}
