package serving

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
)

func TestARatioIsOfTheSameRoundsOfTheSameLoad(t *testing.T) {
	t.Parallel()
	point := func(mode string, clients int, rates, cpu figures.Values) *Point {
		return &Point{Mode: mode, Clients: clients, Work: LeastWork, Raw: rates, RawCPU: cpu, waits: figures.NewTimes()}
	}
	alone, other := point(NoBackup, 16, figures.Values{100, 10, 200}, figures.Values{10, 10, 20}), point(NoBackup, 1, figures.Values{1, 1, 1}, figures.Values{1, 1, 1})
	pair := point(Modes()[0], 16, figures.Values{90, 9, 180}, figures.Values{12, 12, 24})
	all := Points{alone, other, pair}
	for _, p := range all {
		p.finish(all)
	}
	require.InDelta(t, .9, pair.Ratio, 1e-9, "broken promise: whatever disturbed a round is in both of its figures")
	require.InDelta(t, 1.2, pair.CPURatio, 1e-9)
	require.Equal(t, 1.0, alone.Ratio)
	var b bytes.Buffer
	require.NoError(t, all.Print(&b))
	require.NotContains(t, b.String(), "NaN")
}

func TestTheCurveHasNoBackupOneAndAThousandClients(t *testing.T) {
	t.Parallel()
	for _, plan := range []CurvePlan{LongCurve(), QuickCurve()} {
		require.Contains(t, plan.Clients, 1)
		require.Contains(t, plan.Clients, BaseClients)
		require.Contains(t, plan.Clients, 1000)
		require.Contains(t, plan.Works, LeastWork)
		require.Contains(t, plan.Works, time.Millisecond)
	}
	require.Len(t, Modes(), 3)
}
