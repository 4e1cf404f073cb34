package pair

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTheFirstFailureIsAnsweredAtOnceAndABurstEverMoreSlowly(t *testing.T) {
	t.Parallel()
	var b budget
	var last time.Duration
	for n := 1; n <= budgetMost; n++ {
		d := b.failed(0)
		if n == 1 {
			require.Zero(t, d, "the first failure")
			continue
		}
		require.Equal(t, budgetFirst<<(n-2), d, "failure %d", n)
		require.Greater(t, d, last)
		last = d
	}
	require.Equal(t, budgetLongest, b.failed(0), "the budget is used up")
	require.True(t, b.exhausted())
}

// A backup that fails as soon as it is started must not be forgiven by the very delays that its failures cost.
func TestABackupThatAlwaysFailsUsesTheBudgetUp(t *testing.T) {
	t.Parallel()
	var b budget
	var now time.Duration
	exhausted := 0
	starts := 0
	for ; now < time.Hour; starts++ {
		now += b.failed(now)
		if b.exhausted() {
			exhausted++
		}
	}
	require.NotZero(t, exhausted, "broken promise: ten failures that nothing has forgiven exhaust the budget")
	require.Less(t, starts, int(time.Hour/(budgetLongest/2)), "broken promise: the budget bounds the restarts")
}

func TestAHealthyTimeForgivesEverything(t *testing.T) {
	t.Parallel()
	var b budget
	for range 2 * budgetMost {
		b.failed(0)
	}
	b.healthy(time.Second)
	short := b
	require.NotZero(t, short.failed(time.Second+budgetHealthy-1), "a short health forgives nothing")
	require.Zero(t, b.failed(time.Second+budgetHealthy), "a backup that was in order for long died for the first time")
	require.NotZero(t, b.failed(time.Second+budgetHealthy), "its successor was not in order at all")
}

func TestTheBudgetBoundsTheStartsInAnyStretchOfTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b budget
		var now time.Duration
		var at []time.Duration
		for range 60 { // a backup is started, is in order for less than a healthy time or never, and fails
			at = append(at, now)
			if rapid.Bool().Draw(t, "synchronised") {
				b.healthy(now)
			}
			now += time.Duration(rapid.Int64Range(0, int64(budgetHealthy)-1).Draw(t, "lives"))
			d := b.failed(now)
			if d < 0 || d > budgetLongest {
				t.Fatalf("broken promise: a delay of %v, at most %v", d, budgetLongest)
			}
			now += d
		}
		const most = budgetMost + 2 // and one more, since the window has two ends
		for i := range at {
			if j := i + most; j < len(at) && at[j]-at[i] < budgetLongest {
				t.Fatalf("broken promise: %d starts within %v, at most %d", most+1, at[j]-at[i], most)
			}
		}
	})
}
