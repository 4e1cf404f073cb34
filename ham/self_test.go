package ham_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham"
)

// beating beats until the test ends it.
func beating(s *ham.Self, period time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(period / 4)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.Beat()
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

func TestASelfAttachedProcessNoticesNothingOfWhatBecomesOfHAM(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	const period = 200 * time.Millisecond
	s, err := c.AttachSelf(ctx, ham.Attach{Entity: "me", Heartbeat: &ham.Heartbeat{Period: period, High: 100}})
	require.NoError(t, err)
	t.Cleanup(beating(s, period))
	require.NoError(t, s.ReportState(ctx, 7))

	for _, both := range []bool{false, true, true, false} {
		pid, guardian := h.protected(c)
		if both {
			h.kill(pid, guardian)
		} else {
			h.kill(pid)
		}
		killed := time.Now()
		now, _ := h.protected(c)
		require.NotEqual(t, pid, now)
		h.until("its heartbeat is seen", func() error {
			_, beat, err := c.Entity(ctx, "me")
			if err == nil && !beat.After(killed) {
				return context.DeadlineExceeded
			}
			return err
		})
		r, _, err := c.Entity(ctx, "me")
		require.NoError(t, err)
		require.Equal(t, os.Getpid(), r.Process.PID)
		require.Equal(t, ham.SelfAttached, r.Kind)
		require.Zero(t, r.Deaths, "broken promise: who lives is not dead")
		require.EqualValues(t, 7, r.State)
	}
	h.is(c, "me", "is attached over the present connection", func(r *ham.Record) bool { return r.Client == c.ID() })
	require.NoError(t, s.Raise(ctx, 1, 2, 3))
	require.NoError(t, s.Detach(ctx))
	require.NoError(t, s.Detach(ctx))
	_, _, err = c.Entity(ctx, "me")
	require.ErrorIs(t, err, ham.ErrNotFound)
	s.Beat() // harmless
}

func TestAProcessThatDoesNotBeatIsMissedUntilItDoes(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	s, err := c.AttachSelf(ctx, ham.Attach{Entity: "me", Heartbeat: &ham.Heartbeat{Period: 20 * time.Millisecond, Low: 2}})
	require.NoError(t, err)
	h.is(c, "me", "is missed", func(r *ham.Record) bool { return r.Pulse.State == ham.MissedLow })
	h.until("a beat is seen", func() error {
		s.Beat() // again and again: HAM may not have found the word yet when the first one comes
		all, err := c.History(ctx)
		for _, x := range all {
			if x.What == ham.HasRecovered {
				return nil
			}
		}
		if err == nil {
			err = errors.New("it is not in the history")
		}
		return err
	})
	require.NoError(t, s.Detach(ctx))
}

func TestASelfAttachedProcessThatDiesHasDied(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	cmd := again(envSelf + "=" + h.dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "attached: <nil>\n", line)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	for x, err := range c.Follow(ctx, 0) {
		require.NoError(t, err)
		if x.What == ham.HasDied {
			require.Equal(t, "worker", x.Entity)
			require.Equal(t, cmd.Process.Pid, x.PID)
			break
		}
	}
}

func TestManyNamesOfOneProcess(t *testing.T) {
	t.Parallel()
	h := begin(t)
	c, ctx := h.dial(), t.Context()
	var all []*ham.Self
	for _, name := range []string{"reader", "writer", "janitor"} {
		s, err := c.AttachSelf(ctx, ham.Attach{Entity: name})
		require.NoError(t, err)
		all = append(all, s)
	}
	pid, guardian := h.protected(c)
	h.kill(pid, guardian)
	for _, s := range all {
		h.is(c, s.Handle().Entity, "is attached again", func(r *ham.Record) bool { return r.Client == c.ID() && r.Process.PID == os.Getpid() })
		require.NoError(t, s.Detach(ctx))
	}
}

func BenchmarkBeat(b *testing.B) {
	h := begin(b)
	s, err := h.dial().AttachSelf(b.Context(), ham.Attach{Entity: "me"})
	require.NoError(b, err)
	for b.Loop() {
		s.Beat()
	}
	require.NoError(b, s.Detach(b.Context()))
}
