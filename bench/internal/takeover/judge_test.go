package takeover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/load"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// struck is a fault 100 ms after the load began, with a request every millisecond, which the new primary answers 2 ms later.
func struck() *attempt {
	c := Base()
	a := &attempt{cell: &c, result: newResult(ByWork, c, 1000), cfg: load.Config{Rate: 1000}, at: time.Now()}
	const fault, away = 100 * time.Millisecond, 2 * time.Millisecond
	a.load = &load.Result{Began: a.at.Add(-fault)}
	for i := range 200 {
		p := load.Reply{Intended: time.Duration(i) * time.Millisecond, Who: 4}
		if p.Done = p.Intended + 50*time.Microsecond; p.Done > fault {
			p.Done, p.Who = max(p.Done, fault+away), 5
		}
		a.load.Replies = append(a.load.Replies, p)
	}
	a.load.Late = figures.NewTimes()
	a.before.Epoch, a.after.Epoch = 4, 5
	a.after.LastTakeover = &registry.Takeover{Epoch: 5, At: a.at.Round(0).Add(time.Millisecond), SealedUS: 10, DrainedUS: 20, ServingUS: 30, RestoredUS: 9000, Cause: "death"}
	return a
}

func TestAFaultIsJudgedByWhatItDid(t *testing.T) {
	t.Parallel()
	a := struck()
	require.Empty(t, a.judge())
	require.Len(t, a.result.Faults, 1)
	f := a.result.Faults[0]
	require.InDelta(t, 2000, f.Gap, 1)
	require.InDelta(t, 1000, f.Noticed, 1)
	require.InDelta(t, 1030, f.Serving, 1)
	require.Equal(t, "death", f.Cause)
}

func TestATakeoverOfAnotherCauseIsVoid(t *testing.T) {
	t.Parallel()
	early := struck()
	early.after.LastTakeover.At = early.at.Round(0).Add(-80 * time.Millisecond)
	early.after.LastTakeover.Cause = "hang"
	require.Contains(t, early.judge(), "before the fault (hang", "broken promise: what was over before the fault measures nothing")

	twice := struck()
	twice.after.Epoch = 6
	require.Equal(t, "the pair has changed roles 2 times", twice.judge())

	silent := struck()
	silent.load.Replies = silent.load.Replies[:10]
	require.NotEmpty(t, silent.judge())
	for _, a := range []*attempt{early, twice, silent} {
		require.Empty(t, a.result.Faults, "broken promise: a void fault never counts")
	}
}
