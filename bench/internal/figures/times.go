package figures

import (
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Times is a distribution of durations, from 1 ns to a minute, exact to one part in a thousand (an HDR histogram).
type Times struct{ h *hdr.Histogram }

// NewTimes returns an empty distribution.
func NewTimes() *Times { return &Times{hdr.New(1, int64(time.Minute), 3)} }

// Add takes one duration. What lies outside of the range counts as its nearest end.
func (t *Times) Add(d time.Duration) { _ = t.h.RecordValue(min(max(int64(d), 1), int64(time.Minute))) }

// Merge takes all of another distribution.
func (t *Times) Merge(o *Times) { t.h.Merge(o.h) }

// N is how many durations there are.
func (t *Times) N() int64 { return t.h.TotalCount() }

// At returns the duration that so many percent do not exceed; 0 of nothing.
func (t *Times) At(percent float64) time.Duration {
	return time.Duration(t.h.ValueAtPercentile(percent))
}

// Max returns the longest; 0 of nothing.
func (t *Times) Max() time.Duration { return time.Duration(t.h.Max()) }

// Row returns the distribution in microseconds.
func (t *Times) Row(name string) Row {
	us := func(ns int64) float64 { return float64(ns) / 1e3 }
	r := Row{Name: name, Unit: "µs", N: t.N()}
	if r.N > 0 {
		r.Min, r.P50, r.P90, r.P99, r.Max = us(t.h.Min()), us(int64(t.At(50))), us(int64(t.At(90))), us(int64(t.At(99))), us(t.h.Max())
	}
	return r
}

// Bucket is one of a histogram: so many durations of at most so many nanoseconds, and more than those of the bucket before.
type Bucket [2]int64

// Buckets returns the whole histogram, without the empty ones: what is raw in a report.
func (t *Times) Buckets() []Bucket {
	all := []Bucket{}
	for _, b := range t.h.Distribution() {
		if b.Count > 0 {
			all = append(all, Bucket{b.To, b.Count})
		}
	}
	return all
}
