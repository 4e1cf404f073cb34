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

func (t *times) at(percent float64) time.Duration {
	return time.Duration(t.h.ValueAtPercentile(percent))
}

// encoded is the whole distribution, as other HdrHistograms read it.
func (t *times) encoded() string {
	b, _ := t.h.Encode(hdr.V2CompressedEncodingCookieBase) // into memory: cannot fail
	return string(b)
}

// median returns the middle one of values, the lower of two.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[(len(s)-1)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
