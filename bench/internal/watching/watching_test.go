package watching

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham"
)

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
