package core

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// However an entity dies, no more restarts are made than its budget holds: in any half time at most twice the limit, since of what was
// counted half is left at its end.
func TestNoRestartBeyondTheBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		b := Budget{Limit: limit, Half: time.Minute, Healthy: time.Hour, Delay: 10 * time.Millisecond, Cap: time.Second, Jitter: rapid.Float64Range(0, 1).Draw(t, "jitter")}
		e := entity("e", lives())
		e.Settings = &Settings{Restart: b}
		w := newWorld(t)
		w.run(e)
		var starts []time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "deaths") {
			w.sleep(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "lived")) * time.Millisecond)
			w.heard()
			w.dies("e", Exit{})
			died := w.now
			w.sleep(2 * time.Second)
			if w.m.look("e").Process.Phase == Failed {
				require.Empty(t, w.heard())
				require.Greater(t, w.m.look("e").Spent.Count+1, float64(limit), "it gives up only with the budget used up")
				return
			}
			require.Equal(t, []string{"spawn e"}, w.heard())
			starts = append(starts, died)
			recent := slices.DeleteFunc(slices.Clone(starts), func(at time.Duration) bool { return at <= died-b.Half })
			require.LessOrEqual(t, len(recent), 2*limit, "restarts within %v", b.Half)
			w.born("e")
		}
	})
}

func TestHistoriesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(entity("e"))
	for i := range 3 * GlobalHistory {
		reporting("e", int64(i))(w)
	}
	e := w.m.look("e")
	require.Len(t, e.History, EntityHistory)
	all := w.store.History()
	require.GreaterOrEqual(t, len(all), GlobalHistory)
	require.LessOrEqual(t, len(all), 2*GlobalHistory)
	require.Equal(t, *all[len(all)-1], e.History[EntityHistory-1], "the last is the newest")
	require.True(t, slices.IsSortedFunc(all, func(a, b *Happening) int { return int(a.Seq) - int(b.Seq) }))
}

func TestADeathIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(entity("e", on(OnDeath, RearmCondition, flagged(restarts(), RearmAction), notes("n", Notify{Datagram: "/run/x"}))))
	var told []Happening
	for _, e := range w.step(Event{Exited: &Exited{Entity: "e", PID: 101, Start: 101, Exit: Exit{Known: true, Signal: 11, Core: true}}}) {
		if h, ok := e.(Happened); ok {
			told = append(told, h.Happening)
		}
	}
	require.Equal(t, HasDied, told[0].What)
	require.Equal(t, &Exit{Known: true, Signal: 11, Core: true}, told[0].Exit)
	w.born("e")
	cause := w.last["tell e/death/n"].(Tell).Cause
	require.Equal(t, []any{OnDeath, 101, told[0].Seq, told[0].Exit}, []any{cause.Type, cause.PID, cause.Seq, cause.Exit}, "who is notified learns of the same event")
	e := w.m.look("e")
	require.Equal(t, []uint64{1, 1}, []uint64{e.Deaths, e.Restarts})
	c := e.Conditions[0]
	require.EqualValues(t, 1, c.Fired)
	require.Equal(t, uint64(1), w.store.Root().Died)
}

func TestADeclarationCanBeCheckedWithoutHAM(t *testing.T) {
	t.Parallel()
	good := after("web", true, "db")
	require.NoError(t, good.Check())
	bad := entity("e", on(OnDeath, 0, restarts(), ActionSpec{Name: "again", Restart: &Restart{}}))
	require.ErrorIs(t, bad.Check(), ErrOnlyRestart)
	for _, e := range []EntitySpec{
		{Name: "e", Settings: &Settings{Start: true}},
		{Name: "e", Settings: &Settings{After: []Dependency{{Entity: "a"}, {Entity: "a"}}}},
		{Name: "e", Settings: &Settings{Sample: -1}},
		{Name: "e", Settings: &Settings{Stop: []KillStep{{Signal: 0, Wait: 1}}}},
		{Name: "e", Settings: &Settings{Stop: []KillStep{{Signal: 9}}}},
		{Name: "e", Settings: &Settings{Ready: Readiness{Notify: true, Beat: true}}},
		{Name: "e", Settings: &Settings{Ready: Readiness{Probe: &WaitFor{Timeout: 1}}}},
		{Name: "e", Settings: &Settings{Ready: Readiness{Timeout: -1}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{""}}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"a\x00"}}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"a"}, Env: []string{"X"}}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"a"}, Dir: "relative"}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"a"}, Output: Output{File: "relative"}}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"a"}, FDStore: -1}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"a"}, Limits: []Limit{{Resource: "files"}}}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"a"}, Limits: []Limit{{Resource: "nofile", Soft: 2, Hard: 1}}}}},
		{Name: "e", Settings: &Settings{Command: Command{Argv: []string{"a"}, Sockets: []Socket{{Network: "ip", Address: "x"}}}}},
		upon(ActionSpec{Name: "a", WaitFor: &WaitFor{TCP: "noport", Timeout: 1}}),
		upon(ActionSpec{Name: "a", WaitFor: &WaitFor{HTTP: "ftp://x", Timeout: 1}}),
		upon(ActionSpec{Name: "a", WaitFor: &WaitFor{Path: "/x", Unix: "/y", Timeout: 1}}),
		upon(ActionSpec{Name: "a", Signal: &Signal{Signal: 65}}),
		upon(ActionSpec{Name: "a", Signal: &Signal{Signal: 1, PID: -1}}),
		upon(ActionSpec{Name: "a", Signal: &Signal{Signal: 1, Group: true, Value: 1}}),
		upon(ActionSpec{Name: "a", Execute: &Execute{Command: Command{Argv: []string{"a"}}, Timeout: -1}}),
		upon(notes("a", Notify{HTTP: "localhost"})),
		upon(logs("a"), logs("a")),
		entity("e", anyDeath, anyDeath),
		entity("e", ConditionSpec{Name: "c"}),
		entity("e", onRaise("c", Anything(), Match{}, Anything())),
		entity("e", ConditionSpec{Name: "c", On: OnDeath, To: Anything()}),
		entity("e", ConditionSpec{Name: "c", On: OnResourceExceeded, Resource: &Resource{For: 1}}),
		{Name: Global, Settings: &Settings{Start: true}},
	} {
		require.ErrorIs(t, e.Check(), ErrBadSpec, "%+v", e)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"e", "e/c", "e/c/a", "e/c/a/x", "", "/", "e//a", ".e", "e\x00", strings.Repeat("x", 300), "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			return
		}
		require.Equal(t, s, p.String(), "a path is what it was parsed from")
		require.NoError(t, p.check())
		require.LessOrEqual(t, len(s), MaxPath)
	})
}

func TestWordsHaveNames(t *testing.T) {
	t.Parallel()
	for c := OnAny; c <= OnResourceExceeded; c++ {
		text, err := c.MarshalText()
		require.NoError(t, err)
		var back ConditionType
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, c, back)
	}
	var none ConditionType
	require.NoError(t, none.UnmarshalText(nil))
	require.ErrorIs(t, none.UnmarshalText([]byte("dead")), ErrBadSpec)
	require.Equal(t, "condition type 99", ConditionType(99).String())
	require.Equal(t, []string{"PLACEHOLDER", "MISSEDHIGH", "stopping", "restart", "at most once", "independent"},
		[]string{Placeholder.String(), MissedHigh.String(), Stopping.String(), RestartProcess.String(), AtMostOnce.String(), IndependentLane.String()})
}
