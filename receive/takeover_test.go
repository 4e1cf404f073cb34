package receive

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

// TestTakeoversUnderLoadAreInvisible: primaries die after they have read, after
// they have committed, connections break, roles are switched, and every call is
// answered and applied once.
func TestTakeoversUnderLoadAreInvisible(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	var count, epoch atomic.Int64
	fault := func() bool { return count.Add(1)%17 == 0 }
	faults := []func(){
		func() { p.takeover(false) },
		func() { p.takeover(true) },
		p.dropConns,
	}
	p.with(func() {
		// What is lost, unread or unanswered, is lost with its primary.
		lose := func(*wire.Frame) bool {
			if !fault() {
				return false
			}
			go faults[int(epoch.Add(1))%2*2]()
			return true
		}
		p.swallow, p.mute = lose, lose
	})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				write(t, c, "echo", "beside")
				p.takeover(true)
			}
		}
	})
	hammer(t, c, 8, 200)
	close(stop)
	wg.Wait()
	p.requireOnce(t)
}

// T7: without sync depth the error goes to the requester, the next request to the new primary.
func TestWithoutSyncDepthTheRequesterIsTold(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*fakePair){
		"takeover":        func(p *fakePair) { p.takeover(false) },
		"connection lost": (*fakePair).dropConns,
	} {
		p := serveFake(t)
		c := p.dial(t, SyncDepth(0))
		p.with(func() {
			p.mute = func(*wire.Frame) bool { go fault(p); return true }
		})
		_, err := c.WriteRead(t.Context(), "echo", []byte("one"))
		require.ErrorIs(t, err, ErrPathDown, name)
		require.True(t, MayBeApplied(err), name)
		p.with(func() { p.mute = nil })
		require.Equal(t, "two", write(t, c, "echo", "two"), name)
		require.Equal(t, 1, p.ran("one"), "%s: nothing is sent twice", name)
	}
}

// T8: restarted under the same name, the pair is another one.
func TestANewInstanceEndsTheOpen(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	p.with(func() { p.swallow = hasPrefix("in doubt") })
	result := make(chan error)
	go func() {
		_, err := c.WriteRead(context.Background(), "echo", []byte("in doubt"))
		result <- err
	}()
	write(t, c, "echo", "first")
	p.restart(t, "two")
	err := <-result
	require.ErrorIs(t, err, ErrWrongID)
	_, err = c.WriteRead(t.Context(), "echo", []byte("later"))
	require.ErrorIs(t, err, ErrWrongID)
	require.False(t, MayBeApplied(err))
	require.Equal(t, "again", write(t, p.dial(t), "echo", "again"), "a new open works")
}

// T9: a member that is not the primary turns requests away; they go where the name leads now.
func TestAMemberThatIsNotThePrimaryIsLeftForTheOneThatIs(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	c := p.dial(t)
	turned := 0
	p.with(func() {
		p.code = func(*wire.Frame) int {
			if turned++; turned <= 3 {
				return codeOf(ErrOwnership)
			}
			return 0
		}
	})
	require.Equal(t, "x", write(t, c, "echo", "x"))
	p.requireOnce(t)
	p.with(func() { p.code = func(*wire.Frame) int { return codeOf(ErrOwnership) } })
	c2 := p.dial(t, RetryFor(time.Millisecond))
	_, err := c2.WriteRead(t.Context(), "echo", []byte("y"))
	require.ErrorIs(t, err, ErrPathDown, "nobody is the primary")
	c3 := p.dial(t, SyncDepth(0))
	_, err = c3.WriteRead(t.Context(), "echo", []byte("z"))
	require.ErrorIs(t, err, ErrOwnership, "without sync depth the requester is told")
}

// The primary dies between a hello and its welcome: the next one is asked again.
func TestAnOpenSurvivesATakeover(t *testing.T) {
	t.Parallel()
	p := serveFake(t)
	p.with(func() { p.deaf = true })
	opened := make(chan error)
	go func() {
		c, err := Dial(t.Context(), "bank", RunDir(p.root))
		if err == nil {
			err = c.Close()
		}
		opened <- err
	}()
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.conns) == 1
	}, 10*time.Second, time.Millisecond)
	p.with(func() { p.deaf = false })
	p.takeover(false)
	require.NoError(t, <-opened)
}
