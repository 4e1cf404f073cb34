package pair_test

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
)

func TestAClientThatKnowsNothingOfPairsIsServed(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode))
		l := dialLines(t, p, 1)
		l.ask(10)
		l.collect()
		p.Kill(p.Primary())
		l.ask(10)
		l.collect()
		p.WaitProtected()
		require.NoError(t, p.Switch())
		l.ask(10)
		l.collect()
		l.check(p.Dial())
	})
}

// A primary dies in every gap between two steps of a request's life, under clients whose requests come in pieces cut anywhere.
func TestAKillAtAnyPointGoesUnnoticedByStreams(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		for _, point := range pair.Points() {
			t.Run(point.String(), func(t *testing.T) {
				t.Parallel()
				killStreamsAt(t, mode, point, 1, 5, 33)
			})
		}
	})
}

func killStreamsAt(t *testing.T, mode pair.Mode, point pair.Point, hits ...int) {
	file := filepath.Join(t.TempDir(), "hits")
	p := start(t, "ledger", set(envMode, mode), set(envPoint, int(point)), set(envHits, file), set(envSnapshot, 50))
	var clients []*lines
	for i := range 4 {
		clients = append(clients, dialLines(t, p, i+1))
	}
	for _, n := range hits {
		doomed := p.Primary()
		require.NoError(t, os.WriteFile(file, []byte(strconv.Itoa(n)), 0o600))
		p.Signal(doomed, unix.SIGUSR1)
		takeovers := p.Status().Takeovers
		for p.Status().Takeovers == takeovers {
			for _, l := range clients {
				l.ask(1 + l.rng.IntN(20))
			}
			for _, l := range clients {
				l.collect()
			}
		}
		p.WaitDead(doomed)
		p.WaitProtected()
	}
	require.EqualValues(t, len(hits), p.Status().Takeovers)
	c := p.Dial()
	for _, l := range clients {
		l.check(c)
	}
}

// Kills at random under a load of several connections.
func TestStreamsOutliveKillsAtRandom(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode), set(envSnapshot, 100))
		var clients []*lines
		for i := range 6 {
			clients = append(clients, dialLines(t, p, i+1))
		}
		stop := make(chan struct{})
		var running sync.WaitGroup
		for _, l := range clients {
			running.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					l.ask(1 + l.rng.IntN(40))
					l.collect()
				}
			})
		}
		for range 8 * *long {
			s := p.WaitProtected()
			p.Kill(s.Primary)
			p.WaitStatus("the takeover", func(now pairtest.Status) bool { return now.Primary == s.Backup })
		}
		close(stop)
		running.Wait()
		c := p.Dial()
		for _, l := range clients {
			l.check(c)
		}
	})
}
