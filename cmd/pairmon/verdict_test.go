package main

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/1fb4ed1c/tandem/examples/bank/bank"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

func TestQuantilesAreSamplesByNearestRank(t *testing.T) {
	t.Parallel()
	samples := func(n int) (out []time.Duration) {
		for i := n; i > 0; i-- {
			out = append(out, time.Duration(i)*time.Microsecond)
		}
		return out
	}
	require.Equal(t, quantiles{}, quantilesOf(nil))
	require.Equal(t, quantiles{1, 1, 1}, quantilesOf(samples(1)))
	require.Equal(t, quantiles{5, 10, 10}, quantilesOf(samples(10)))
	require.Equal(t, quantiles{100, 198, 200}, quantilesOf(samples(200)))
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 1e6).Draw(t, "µs")) * time.Microsecond
		}), 1, 300).Draw(t, "samples")
		before := slices.Clone(s)
		q := quantilesOf(s)
		require.Equal(t, before, s, "the samples stay in their order")
		require.LessOrEqual(t, q.P50, q.P99)
		require.LessOrEqual(t, q.P99, q.Max)
		require.Equal(t, slices.Max(s).Microseconds(), q.Max)
		require.Contains(t, s, time.Duration(q.P50)*time.Microsecond)
	})
}

func TestVerdictIsGoodOnlyIfNothingAtAllIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		result  bank.Result
		failure error
		ok      bool
	}{
		{"all is well", bank.Result{Tally: bank.Tally{Requests: 5}, Audits: 1}, nil, true},
		{"one is lost", bank.Result{Tally: bank.Tally{Lost: 1}}, nil, false},
		{"one is made twice", bank.Result{Tally: bank.Tally{Duplicated: 1}}, nil, false},
		{"one failed", bank.Result{Tally: bank.Tally{Failed: 1}}, nil, false},
		{"money vanished", bank.Result{Unbalanced: 1}, nil, false},
		{"a customer gave up", bank.Result{Err: errors.New("why")}, nil, false},
		{"not all kills were made", bank.Result{}, errors.New("why"), false},
	} {
		v := judgeDemo(nil, c.result, c.failure)
		require.Equal(t, c.ok, v.ok(), c.what)
		require.Equal(t, c.result.Err != nil || c.failure != nil, v.Error == "why", c.what)
	}
}

func TestVerdictAddsTakeoversUp(t *testing.T) {
	t.Parallel()
	us := func(n ...int) (out []time.Duration) {
		for _, n := range n {
			out = append(out, time.Duration(n)*time.Microsecond)
		}
		return out
	}
	v := judgeDemo([]takeover{
		{phases: []phase{{"noticed", us(10)[0]}, {"first reply", us(40)[0]}, {"restored", us(900)[0]}}, gaps: us(50, 60)},
		{phases: []phase{{"noticed", us(20)[0]}, {"first reply", 0}, {"restored", us(700)[0]}}, gaps: us(70, 80)},
	}, bank.Result{Tally: bank.Tally{Requests: 9}}, nil)
	require.Equal(t, 2, v.Kills)
	require.Equal(t, quantiles{60, 80, 80}, v.Gap, "of every client at every kill")
	require.Equal(t, quantiles{700, 900, 900}, v.Unprotected)
	require.Equal(t, quantiles{40, 40, 40}, v.Phases["first_reply"], "what did not happen took no time that could be averaged")
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.Contains(t, string(b), `{"kills":2,"requests":9,"lost":0,"duplicated":0,`+
		`"gap_us":{"p50":60,"p99":80,"max":80},"unprotected_us":{"p50":700,"p99":900,"max":900}`)
}

func TestPhasesAreCountedFromTheKill(t *testing.T) {
	t.Parallel()
	killed := time.Now()
	record := &registry.Takeover{At: killed.Add(100 * time.Microsecond), SealedUS: 10, ServingUS: 50, RestoredUS: 900}
	var got []string
	for _, p := range sinceKill(killed, record) {
		got = append(got, p.name+" "+p.at.String())
	}
	require.Equal(t, []string{"noticed 100µs", "sealed 110µs", "drained 0s", "serving 150µs", "first reply 0s", "fenced 0s", "restored 1ms"}, got)
	record.At = killed.Add(-time.Second)
	require.Zero(t, sinceKill(killed, record)[0].at, "a calendar that was set back makes no negative time")
}

func TestPulseMeasuresTheGapAcrossTheKillAndNothingElse(t *testing.T) {
	t.Parallel()
	var p pulse
	start := time.Now()
	reply := func(ms int, epoch uint32) { p.beat(start.Add(time.Duration(ms)*time.Millisecond), epoch) }
	gaps := make(chan time.Duration, 1)

	reply(0, 1)
	reply(500, 1) // long ago
	p.expect(1, gaps)
	reply(501, 1) // was under way when the primary was killed
	require.Empty(t, gaps, "a reply of the old primary ends nothing")
	reply(509, 2)
	require.Equal(t, 8*time.Millisecond, <-gaps)
	reply(900, 2)
	reply(901, 3)
	require.Empty(t, gaps, "one kill, one gap")
	require.Equal(t, int64(6), p.replies.Load())
	require.Equal(t, 500*time.Millisecond, p.calm(), "the longest of all")
	reply(905, 3)
	require.Equal(t, 4*time.Millisecond, p.calm(), "and since then")
}
