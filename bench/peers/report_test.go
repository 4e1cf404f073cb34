package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

// found is a report of two contestants.
func found(t *testing.T) *report {
	r := newReport(&options{Seed: 7, Kills: 2})
	r.addFailover(&trial{entry: entry{name: "tandem", what: "ours"}, kills: []kill{{NS: 2e6}, {NS: 2e6, Doubled: 1}}})
	r.addFailover(&trial{entry: entry{name: "other", what: "theirs"}, kills: []kill{{NS: 20e6, Lost: 3}}, err: errors.New("it fell over")})
	took := newTimes()
	took.add(time.Microsecond)
	r.addThroughput([]*race{
		{replica: replica{name: "tandem"}, results: []*result{{callers: 1, rates: []float64{100, 200, 300}, took: took}}},
		{replica: replica{name: "slower"}, results: []*result{{callers: 1, rates: []float64{10, 100, 60}, took: took}, {callers: 16, rates: []float64{1, 1, 1}, took: took}}},
	})
	require.True(t, r.leftOut("ghost", []program{{"no-such-command", "ghost-package"}}))
	return r
}

func TestTheTablesSayWhoLostWhatAndWhoIsNotThere(t *testing.T) {
	t.Parallel()
	r := found(t)
	var out bytes.Buffer
	require.NoError(t, r.print(&out, false))
	text := out.String()
	require.Contains(t, text, "ghost does not take part: no-such-command is not installed; the Debian package ghost-package brings it")
	require.Regexp(t, `(?m)^tandem +2 +2\.0 +2\.0 +2\.0 +2\.0 +1\.0 +0 +1 `, text)
	require.Regexp(t, `(?m)^other +1 +20\.0 .* 10\.0 +3 +0 `, text, "ten times as long as ours, and three lost")
	require.Contains(t, text, "other has failed: it fell over")
	require.Contains(t, text, "seed 7")
	require.ErrorContains(t, r.failure(), "it fell over", "a run in which somebody failed ends as if nobody had")
}

func TestTheJSONHasEverySample(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, found(t).print(&out, true))
	var r report
	require.NoError(t, json.Unmarshal(out.Bytes(), &r))
	require.Equal(t, []kill{{NS: 2e6}, {NS: 2e6, Doubled: 1}}, r.Failover[0].Kills)
	h, err := hdr.Decode([]byte(r.Failover[0].Histogram))
	require.NoError(t, err)
	require.EqualValues(t, 2, h.TotalCount())
	require.Equal(t, []float64{10, 100, 60}, r.Throughput[1].Rates)
	require.InDelta(t, 5, r.Throughput[1].ToOurs, 1e-9, "the ratio is that of the middle round, not of two different ones")
	require.Zero(t, r.Throughput[2].ToOurs, "a ratio to a rate of ours that was not measured")
	require.NotEmpty(t, r.Machine.Kernel)
	require.NotEmpty(t, r.Commit)
	require.NotEmpty(t, r.Versions["go"])
}

func TestTheFlagsSayHowOftenWhoIsKilled(t *testing.T) {
	t.Parallel()
	fast, slow := entry{name: "fast"}, entry{name: "slow", slow: 2}
	for _, c := range []struct {
		args       string
		fast, slow int
	}{
		{"", manyKills, slowKills},
		{"--quick", quickKills, 2},
		{"--quick --kills 1", 1, 1},
		{"--kills 100", 100, slowKills},
		{"--kills 3", 3, 3},
	} {
		o, err := parse(strings.Fields(c.args))
		require.NoError(t, err)
		require.Equal(t, c.fast, o.quota(fast), c.args)
		require.Equal(t, c.slow, o.quota(slow), c.args)
	}
	for _, wrong := range []string{"--only nobody", "--kills -1", "verb", "--no-such-flag"} {
		_, err := parse(strings.Fields(wrong))
		require.Error(t, err, wrong)
	}
	o, err := parse([]string{"--only", "erlang,grpc"})
	require.NoError(t, err)
	require.True(t, o.takesPart("erlang") && o.takesPart("grpc"))
	require.False(t, o.takesPart("tandem"))
}
