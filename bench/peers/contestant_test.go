package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryContestantKeepsWhatItAcknowledgedThroughKills(t *testing.T) {
	for _, e := range entries() {
		t.Run(e.name, func(t *testing.T) {
			if testing.Short() && e.slow > 0 {
				t.Skipf("%s is left out with -short: a kill of it takes seconds", e.name)
			}
			requireInstalled(t, e.needs)
			kills := 2 // the second hits what has come back after the first
			if e.slow > 0 {
				kills = 1
			}
			inTestWorld(t, func(ctx context.Context, w *world) {
				one := &trial{entry: e, contestant: e.make(w), quota: kills}
				defer one.Stop()
				require.NoError(t, startAll(ctx, []*trial{one}))
				require.NoError(t, failover(ctx, w, []*trial{one}, kills, t.Logf))
				require.NoError(t, one.err)
				require.Len(t, one.kills, kills, "a kill was no measurement: %q", one.voids)
				for _, k := range one.kills {
					require.Positive(t, k.NS)
					require.Positive(t, k.Before, "nothing was acknowledged before the kill: it proves nothing")
					require.Zero(t, k.Lost, "acknowledged additions are missing after the kill")
					if e.name == "tandem" {
						require.Zero(t, k.Doubled, "a request that was sent again has been done twice")
					}
				}
			})
		})
	}
}

func TestEveryReplicatorUpdatesWithAllItsCallers(t *testing.T) {
	for _, e := range replicas() {
		t.Run(e.name, func(t *testing.T) {
			requireInstalled(t, e.needs)
			inTestWorld(t, func(ctx context.Context, w *world) {
				c := &race{replica: e, replicator: e.make(w)}
				defer c.Stop()
				require.NoError(t, startRaces(ctx, []*race{c}))
				require.NoError(t, throughput(ctx, w, []*race{c}, 1, 20*time.Millisecond, t.Logf))
				for _, r := range c.results {
					require.Positive(t, r.took.h.TotalCount(), "no update was acknowledged with %d callers", r.callers)
				}
			})
		})
	}
}

// ledger is a contestant without processes: it answers what it is told to.
type ledger struct {
	contestant
	counts []int64
}

func (l *ledger) Add(context.Context) (int64, int, error) {
	n := l.counts[0]
	l.counts = l.counts[1:]
	return n, 1, nil
}

func TestTheCountTellsWhatIsLostAndWhatIsDoubled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why           string
		counts        []int64
		lost, doubled int64
	}{
		{"every addition is there once", []int64{1, 2, 3}, 0, 0},
		{"one that was not acknowledged is there too", []int64{1, 3, 4}, 0, 1},
		{"the last two that were acknowledged are missing", []int64{1, 2, 3, 2, 3}, 2, 0},
		{"everything is missing", []int64{1, 2, 3, 1}, 3, 0},
		{"first one is doubled, then one is lost", []int64{1, 3, 3}, 1, 1},
	} {
		tr := &trial{contestant: &ledger{counts: c.counts}}
		for range c.counts {
			_, err := tr.one(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, c.lost, tr.lost, c.why)
		require.Equal(t, c.doubled, tr.twice, c.why)
	}
}
