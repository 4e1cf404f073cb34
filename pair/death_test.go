package pair_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/pairtest"
	"github.com/1fb4ed1c/tandem/receive"
)

// Ways to die other than by SIGKILL, and ways to be as good as dead.

func TestAFrozenPrimaryIsFencedAndThawingChangesNothing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode), set(envHang, "250ms"))
		l := newLoad(t, p, 2).run(3)
		l.await(20)
		s := p.WaitProtected()
		p.Freeze(s.Primary)
		l.await(20)
		p.Thaw(s.Primary) // too late: it is dead
		p.WaitDead(s.Primary)
		l.await(20)
		now := p.WaitProtected()
		require.Equal(t, s.Backup, now.Primary)
		require.EqualValues(t, 1, now.Takeovers)
		require.Equal(t, "stopped", now.Cause, "%s", now.Evidence)
		l.finish()
		l.unbroken()
	})
}

// A member that stands still for less than it may is left alone.
func TestAShortFreezeIsForgiven(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger", set(envHang, "10s"))
	l := newLoad(t, p, 2).run(2)
	s := p.WaitProtected()
	for _, m := range []pairtest.Member{s.Primary, s.Backup} {
		p.Freeze(m)
		time.Sleep(50 * time.Millisecond)
		p.Thaw(m)
		l.await(20)
	}
	require.NoError(t, p.Switch(), "the backup follows")
	require.Zero(t, p.WaitProtected().Takeovers)
	l.finish()
	l.unbroken()
}

func TestAHandlerThatPanicsOnceIsRunByTheBackup(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode))
		l := newLoad(t, p, 2).run(2)
		n, err := receive.Call[int64](t.Context(), p.Dial(), "stumble", 1)
		require.NoError(t, err)
		require.EqualValues(t, 1, n, "broken promise: it is applied once")
		s := p.WaitStatus("the takeover", func(s pairtest.Status) bool { return s.Takeovers == 1 })
		require.Equal(t, "panic", s.Cause)
		require.Equal(t, "stumbled", s.Evidence, "the page says what it panicked with")
		p.WaitLog("panic: stumbled")
		l.await(10)
		l.finish()
		l.unbroken()
	})
}

// A request that kills its server again and again is refused by the third.
func TestPoisonIsRefusedAndThePairGoesOn(t *testing.T) {
	eachMode(t, func(t *testing.T, mode pair.Mode) {
		p := start(t, "ledger", set(envMode, mode))
		l := newLoad(t, p, 2).run(2)
		c := p.Dial()
		for want := uint64(2); want <= 4; want += 2 { // twice: the second one is another request
			_, err := receive.Call[int64](t.Context(), c, "panic", "this request kills")
			require.ErrorIs(t, err, receive.ErrPoison)
			require.False(t, receive.MayBeApplied(err))
			l.await(10)
			// One or two for each: tried again with no backup, it is caught; with one, it kills once more. The page is the old
			// primary's until that is proven dead.
			p.WaitStatus("the takeover on the page", func(s pairtest.Status) bool { return s.Takeovers >= want/2 })
			require.LessOrEqual(t, p.WaitProtected().Takeovers, want)
		}
		n, err := receive.Call[int64](t.Context(), c, "try", struct{}{})
		require.NoError(t, err)
		require.Zero(t, n, "broken promise: what is refused was not applied")
		l.finish()
		l.unbroken()
	})
}

// A handler that takes longer than a hang may take is poison too.
func TestAHandlerThatHangsIsFencedAndThenRefused(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger", set(envHang, "250ms"))
	c := p.Dial()
	_, err := receive.Call[int64](t.Context(), c, "hang", 100*time.Millisecond)
	require.NoError(t, err, "this is no hang")
	before := p.WaitProtected()
	require.Zero(t, before.Takeovers)

	_, err = receive.Call[int64](t.Context(), c, "hang", time.Hour)
	require.ErrorIs(t, err, receive.ErrPoison)
	s := p.WaitProtected()
	require.Equal(t, "hang", s.Cause)
	require.EqualValues(t, 2, s.Takeovers)
	n, err := receive.Call[int64](t.Context(), c, "try", struct{}{})
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "broken promise: a hang that was fenced changed nothing")
}

// An eager backup that needs its time for every request is behind, not hung.
func TestASlowEagerBackupIsNotTakenForHung(t *testing.T) {
	t.Parallel()
	p := start(t, "ledger", set(envMode, pair.BackupEager), set(envHang, "250ms"))
	s := p.WaitProtected()
	c := p.Dial()
	ended := make(chan error, 16)
	for range cap(ended) {
		go func() {
			for range 3 {
				if _, err := receive.Call[int64](context.Background(), c, "hang", 10*time.Millisecond); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for range cap(ended) {
		require.NoError(t, <-ended)
	}
	now := p.WaitProtected()
	require.Equal(t, s.Backup, now.Backup, "broken promise: who makes progress is not replaced")
	p.Kill(now.Primary)
	n, err := receive.Call[int64](t.Context(), c, "try", struct{}{})
	require.NoError(t, err)
	require.EqualValues(t, 48, n)
}

// Each of the usual signals, to either member, stops the whole pair; requesters are told.
func TestASignalToEitherMemberStopsThePair(t *testing.T) {
	t.Parallel()
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		for _, backup := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, backup %v", sig, backup), func(t *testing.T) {
				t.Parallel()
				stopBySignal(t, sig, backup)
			})
		}
	}
}

func stopBySignal(t *testing.T, sig unix.Signal, backup bool) {
	p := start(t, "ledger")
	c := p.Dial()
	_, err := enter(t, c, Entry{Client: 1})
	require.NoError(t, err)
	to := p.WaitProtected().Primary
	if backup {
		to = p.Status().Backup
	}
	p.Signal(to, sig)
	p.Gone()
	_, err = enter(t, c, Entry{Client: 1, N: 1})
	require.ErrorIs(t, err, receive.ErrStopping)
	require.ErrorIs(t, p.Switch(), pair.ErrNotRunning)
}
