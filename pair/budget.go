package pair

import (
	"math"
	"time"
)

// budget bounds how often a backup is started again: a decaying count of failures, so that a burst is answered with
// growing delays and a healthy time forgives it. Ten failures that nothing has forgiven exhaust it (FORTRAN and COBOL
// run-times of NonStop stop at ten as well); after that one attempt a longest delay is made.
type budget struct {
	failures float64
	last     time.Duration
	fine     bool // the present backup reached the synchronised state at since
	since    time.Duration
}

const (
	budgetFirst   = 25 * time.Millisecond // delay after the second failure; the first is answered at once
	budgetLongest = 10 * time.Second      // delay once the budget is used up, and the longest of all
	budgetHalf    = time.Minute           // in this time half of the failures are forgotten: less, and ten would never come together
	budgetHealthy = 5 * time.Second       // a backup that was in order for so long clears the count
	budgetMost    = 10
)

// healthy notes that a backup is in order.
func (b *budget) healthy(now time.Duration) { b.fine, b.since = true, now }

// failed notes one more failure and returns how long to wait before the next attempt.
func (b *budget) failed(now time.Duration) time.Duration {
	if b.fine && now-b.since >= budgetHealthy {
		b.failures = 0
	}
	b.fine = false
	if b.failures > 0 {
		b.failures *= math.Pow(.5, float64(now-b.last)/float64(budgetHalf))
	}
	b.failures++
	b.last = now
	if b.failures <= 1 {
		return 0
	}
	if b.exhausted() {
		return budgetLongest
	}
	return min(time.Duration(float64(budgetFirst)*math.Pow(2, b.failures-2)), budgetLongest)
}

func (b *budget) exhausted() bool { return b.failures > budgetMost }
