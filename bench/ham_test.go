package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/daemon"
)

// The processes of a run are this program once more.
func TestMain(m *testing.M) {
	daemon.Main()
	if len(os.Args) > 1 && os.Args[1] == "process" {
		if err := command().Execute(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestASmallRunMeasuresAllOfHAMAndLosesNothing(t *testing.T) {
	o := &options{Seed: 1}
	w, err := newWorld(o)
	require.NoError(t, err)
	p := hamPlan{Parts: hamParts, Deaths: 5, Entities: 10, Rest: 100 * time.Millisecond, Idle: 100 * time.Millisecond, Words: 10,
		Rate: 1000, Kills: 1, Every: 200 * time.Millisecond, Programs: 4}
	r := newReport("ham", o, &p)
	require.NoError(t, w.close(benchHAM(context.Background(), w, r, p)))
	for _, x := range r.Rows {
		if strings.HasPrefix(x.Name, "death noticed") || strings.HasPrefix(x.Name, "program runs again, started") {
			require.EqualValues(t, p.Deaths, x.N, "broken promise: every death is measured: %s", x.Name)
		}
	}
	goals := 0
	for _, x := range r.Ratios {
		if x.Met != nil {
			goals++
		}
		if strings.HasSuffix(x.Name, ", lost") || strings.HasSuffix(x.Name, ", doubled") {
			require.Zero(t, x.Value, "broken promise: every death counts once, whatever becomes of HAM: %s", x.Name)
		}
	}
	require.Equal(t, 1+2+2+6, goals, "broken promise: every goal has a verdict")
	require.NoError(t, r.print(io.Discard, true), "broken promise: every figure is a number")
}

func TestWhatIsLostOrDoubledIsFound(t *testing.T) {
	t.Parallel()
	one := balance{lost: 1}
	twice := balance{doubled: 1}
	for what, c := range map[string]struct {
		change                 func(m *mortals, e *ham.Record)
		told, counted, started balance
	}{
		"nothing":                       {func(*mortals, *ham.Record) {}, balance{}, balance{}, balance{}},
		"a death that is not told":      {func(m *mortals, _ *ham.Record) { delete(m.deaths, 11) }, one, balance{}, balance{}},
		"one that is told twice":        {func(m *mortals, _ *ham.Record) { m.deaths[11]++ }, twice, balance{}, balance{}},
		"one that never was":            {func(m *mortals, _ *ham.Record) { m.deaths[99]++ }, twice, balance{}, balance{}},
		"a death that is not counted":   {func(_ *mortals, e *ham.Record) { e.Deaths-- }, balance{}, one, balance{}},
		"a restart that is not counted": {func(_ *mortals, e *ham.Record) { e.Restarts-- }, balance{}, one, balance{}},
		"a start too many":              {func(m *mortals, _ *ham.Record) { m.all[0].starts++ }, balance{}, balance{}, twice},
		"a start that never came":       {func(m *mortals, _ *ham.Record) { m.all[0].starts-- }, balance{}, balance{}, one},
		"no record at all":              {func(_ *mortals, e *ham.Record) { e.Name = "other" }, balance{}, one, balance{}},
	} {
		m := newMortals(1)
		m.began(begun{name: "mortal-0", pid: 11})
		m.killed[11], m.deaths[11], m.all[0].kills = true, 1, 1
		m.began(begun{name: "mortal-0", pid: 12})
		e := &ham.Record{Name: "mortal-0", Deaths: 1, Restarts: 1}
		c.change(m, e)
		told, counted, started := m.compare([]*ham.Record{e})
		require.Equal(t, []balance{c.told, c.counted, c.started}, []balance{told, counted, started}, what)
	}
}

func TestTheMemoryOfAProcessIsRead(t *testing.T) {
	t.Parallel()
	sizes, err := smaps(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, sizes["Pss"])
	require.GreaterOrEqual(t, sizes["Rss"], sizes["Pss"])
}
