package figures

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestADistributionIsExactToOnePartInAThousand(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(1, int64(time.Minute)), 1, 50).Draw(t, "durations")
		d := NewTimes()
		for _, ns := range all {
			d.Add(time.Duration(ns))
		}
		row := d.Row("x")
		require.EqualValues(t, len(all), row.N)
		least, most := int64(math.MaxInt64), int64(0)
		for _, ns := range all {
			least, most = min(least, ns), max(most, ns)
		}
		require.InEpsilon(t, float64(most)/1e3, row.Max, .001)
		require.InEpsilon(t, float64(least)/1e3, row.Min, .002)
		require.LessOrEqual(t, row.P50, row.P90)
		require.LessOrEqual(t, row.P90, row.P99)
		total := int64(0)
		for _, b := range d.Buckets() {
			total += b[1]
		}
		require.EqualValues(t, len(all), total, "broken promise: the raw histogram holds everything")
	})
}

func TestADistributionOfNothingIsNothing(t *testing.T) {
	t.Parallel()
	require.Equal(t, Row{Name: "x", Unit: "µs"}, NewTimes().Row("x"))
	require.Equal(t, Row{Name: "x", Unit: "ms"}, Values(nil).Row("x", "ms"))
	require.Empty(t, NewTimes().Buckets())
	require.Zero(t, Values(nil).Median())
}

func TestValuesAreThemselves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := Values(rapid.SliceOfN(rapid.Float64Range(0, 1e9), 1, 50).Draw(t, "values"))
		row := v.Row("", "")
		for _, x := range []float64{row.Min, row.P50, row.P90, row.P99, row.Max} {
			require.Contains(t, v, x, "broken promise: a percentile is one of the values")
		}
		require.LessOrEqual(t, row.Min, row.P50)
		require.LessOrEqual(t, row.P50, row.Max)
	})
	require.Equal(t, 2.0, Values{3, 1, 2}.Median())
	require.Equal(t, 1.0, Values{2, 1}.Median())
	require.Equal(t, 2.0, Values{2, 1}.At(.99))
}

func TestNoReportHoldsWhatJSONCannot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Values {
			return rapid.SliceOf(rapid.SampledFrom([]float64{0, 1, 2.5, 1e12})).Draw(t, name)
		}
		over, under := draw("over"), draw("under")
		r := &Report{Options: &Options{}}
		r.Row(over.Row("over", "ms"), NewTimes().Row("none"))
		r.AtMost("a ratio", Ratios(over, under).Median(), 1, "")
		r.AtLeast("another", Ratios(under, over).Median(), 1)
		var b bytes.Buffer
		require.NoError(t, r.Print(&b, true))
		require.True(t, json.Valid(b.Bytes()))
		require.NoError(t, r.Print(&b, false))
		require.NotContains(t, b.String(), "NaN")
		require.NotContains(t, b.String(), "Inf")
	})
}

func TestAGoalIsPrintedBesideWhatWasMeasured(t *testing.T) {
	t.Parallel()
	r := NewReport("verb", &Options{Seed: 7}, nil)
	r.AtMost("cost", 1.5, 1.2, "ms")
	r.AtLeast("rate", 2, 1)
	r.Voided("%d faults", 3)
	r.Note("a remark")
	var b bytes.Buffer
	require.NoError(t, r.Print(&b, false))
	for _, line := range []string{"1.50 ms  MISSED cost (goal: at most 1.2 ms)", "2.00  met    rate (goal: at least 1)", "void: 3 faults", "note: a remark", "seed 7"} {
		require.Contains(t, b.String(), line)
	}
}
