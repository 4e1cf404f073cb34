package takeover

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/bench/internal/fault"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

func TestEveryAxisIsInTheLongRun(t *testing.T) {
	t.Parallel()
	seen := map[any]bool{}
	for _, b := range Long() {
		require.NotEmpty(t, b.Asks)
		for _, c := range b.Cells {
			for _, v := range []any{c.Mode, c.Work, c.Fault, c.Connection, [2]any{"clients", c.Clients}, [2]any{"memory", c.Memory}, [2]any{"state", c.State}, [2]any{"snapshot", c.Snapshot}} {
				seen[v] = true
			}
		}
	}
	want := []any{time.Microsecond, time.Millisecond, subject.Requester, subject.Foreign, subject.Fresh,
		[2]any{"clients", 1}, [2]any{"clients", 16}, [2]any{"clients", 1000}, [2]any{"memory", 10}, [2]any{"memory", 4096}, [2]any{"state", 1024}, [2]any{"snapshot", 10000}}
	for _, m := range modes() {
		want = append(want, m)
	}
	for _, k := range fault.Kinds() {
		want = append(want, k)
	}
	for _, v := range want {
		require.True(t, seen[v], "no cell with %v", v)
	}
}

func TestACellIsInABlockOnce(t *testing.T) {
	t.Parallel()
	for _, blocks := range [][]Block{Long(), Quick()} {
		for _, b := range blocks {
			seen := map[Cell]bool{}
			for _, c := range b.Cells {
				require.False(t, seen[c], "%s: %s", b.Name, c)
				seen[c] = true
			}
		}
	}
}

func TestTheLongRunHasThreeHundredFaultsACell(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, LongPlan().Faults, 300)
	require.Zero(t, LongPlan().Budget)
}

func TestACellIsNamedByWhatItDiffersIn(t *testing.T) {
	t.Parallel()
	require.Equal(t, "primary-computes, 10µs, SIGKILL", Base().String())
	c := Base()
	c.Memory, c.Clients, c.Connection = 4096, 1000, subject.Foreign
	require.Equal(t, "primary-computes, 10µs, primary of 4096 MiB, SIGKILL, 1000 clients, foreign TCP", c.String())
	require.Greater(t, c.needMiB(), 4096)
}

func TestBlocksAreChosenByName(t *testing.T) {
	t.Parallel()
	all, err := Choose(Quick(), nil)
	require.NoError(t, err)
	require.Len(t, all, len(Quick()))
	some, err := Choose(Quick(), []string{ByState, ByWork})
	require.NoError(t, err)
	require.Equal(t, []string{ByWork, ByState}, []string{some[0].Name, some[1].Name})
	_, err = Choose(Quick(), []string{"colour"})
	require.ErrorContains(t, err, `unknown block "colour"`)
}

func TestWhatIsRandomFollowsFromTheSeedTheCellAndTheRound(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64, block string, cell, round int) uint64 {
		return chance(seed, block, cell, round).Uint64()
	}
	require.Equal(t, draw(1, ByWork, 2, 3), draw(1, ByWork, 2, 3))
	for _, other := range []uint64{draw(2, ByWork, 2, 3), draw(1, ByFault, 2, 3), draw(1, ByWork, 3, 3), draw(1, ByWork, 2, 4)} {
		require.NotEqual(t, draw(1, ByWork, 2, 3), other)
	}
}

func TestPhasesAreSinceTheFault(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	p := phasesOf(&registry.Takeover{At: at.Add(200 * time.Microsecond), SealedUS: 10, DrainedUS: 20, ServingUS: 50, FencedUS: 900, RestoredUS: 30000}, at)
	require.Equal(t, Phases{Noticed: 200, Sealed: 210, Drained: 220, Serving: 250, Fenced: 1100, Restored: 30200}, p)
	require.Equal(t, Phases{Noticed: 0}, phasesOf(&registry.Takeover{At: at}, at), "a phase that was not needed is not known")
}

func TestLoadLeavesRoomOnTheMachine(t *testing.T) {
	t.Parallel()
	for _, b := range Long() {
		for _, c := range b.Cells {
			r := c.rate(5000)
			require.Positive(t, r)
			require.LessOrEqual(t, r*c.Work.Seconds(), utilisation)
		}
	}
}

// two is a result with two faults.
func two() *Result {
	r := newResult(ByWork, Base(), 5000)
	r.Faults = []Fault{{Gap: 500, Worst: 600, Phases: Phases{Noticed: 100, Restored: 9000}}, {Gap: 700, Worst: 900, Errors: 1, Phases: Phases{Noticed: 120, Restored: 9500}}}
	r.calm.Add(time.Millisecond)
	r.finish()
	return r
}

func TestAResultSaysWhatItsFaultsSay(t *testing.T) {
	t.Parallel()
	r := two()
	require.EqualValues(t, 2, r.Gap.N)
	require.Equal(t, 500.0, r.Gap.Min)
	require.Equal(t, 700.0, r.Gap.Max)
	require.Equal(t, 1, r.Errors)
	require.Equal(t, 100.0, r.Medians().Noticed)
	require.Len(t, r.Calm, 1)

	none := newResult(ByWork, Base(), 1)
	none.NotRun = "not run: needs 4.5 GiB, has 2.0 GiB"
	none.finish()
	var b bytes.Buffer
	rs := Results{r, none}
	require.NoError(t, rs.Print(&b))
	require.Contains(t, b.String(), none.NotRun, "broken promise: a cell that was not run is never silently dropped")
	require.NotContains(t, b.String(), "NaN")
	_, err := json.Marshal(rs)
	require.NoError(t, err)
	require.Len(t, rs.Of(ByWork), 2)
	require.Empty(t, rs.Of(ByFault))
}

func TestEveryBlockHasItsPartOfTheBudget(t *testing.T) {
	t.Parallel()
	plan := QuickPlan()
	r := &runner{plan: plan, began: time.Unix(0, 0)}
	for _, b := range plan.Blocks {
		r.all += len(b.Cells) * plan.Faults
	}
	last := r.began
	for i := range plan.Blocks {
		require.True(t, r.until(i).After(last))
		last = r.until(i)
	}
	require.Equal(t, r.began.Add(plan.Budget), last)
	r.plan.Budget = 0
	require.True(t, r.until(0).IsZero(), "a long run has no end but that of its faults")
}
