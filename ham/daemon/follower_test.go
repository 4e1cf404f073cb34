package daemon_test

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/talk"
)

// follower follows what happens, and comes back to every new HAM where the one before has stopped.
type follower struct {
	*host
	stop context.CancelFunc
	end  chan struct{}

	mu     sync.Mutex
	all    []core.Happening
	missed bool
	breaks int // connections that ended
}

func (h *host) follow() *follower {
	h.Helper()
	ctx, stop := context.WithCancel(context.Background())
	f := &follower{host: h, stop: stop, end: make(chan struct{})}
	ready := make(chan struct{}, 1)
	go func() {
		defer close(f.end)
		for ctx.Err() == nil {
			f.read(ctx, ready)
			time.Sleep(time.Millisecond)
		}
	}()
	h.Cleanup(func() {
		stop()
		<-f.end
	})
	select {
	case <-ready:
	case <-time.After(patience):
		require.FailNow(h, "broken promise: who follows is told when he has heard all that was there")
	}
	return f
}

func (f *follower) read(ctx context.Context, ready chan<- struct{}) {
	q := talk.Query{Op: talk.OpHistory, After: f.last(), Follow: true}
	_ = talk.Read(ctx, filepath.Join(f.root, talk.Pair, talk.ReadSocket), q, func(l talk.Line) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if l.Happening != nil {
			f.all = append(f.all, *l.Happening)
			f.missed = f.missed || l.Missed
		}
		if l.Ready {
			select {
			case ready <- struct{}{}:
			default:
			}
		}
		return true
	})
	f.mu.Lock()
	f.breaks++
	f.mu.Unlock()
}

func (f *follower) last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) == 0 {
		return 0
	}
	return f.all[len(f.all)-1].Seq
}

// await waits until something has been told whose text begins like this.
func (f *follower) await(text string) {
	f.Helper()
	f.until(text, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.ContainsFunc(f.all, func(x core.Happening) bool { return strings.HasPrefix(inWords(&x), text) })
	})
}

// check requires that it has heard all that has happened so far, each thing once and in order.
func (f *follower) check() {
	f.Helper()
	var want []core.Happening
	for _, l := range f.host.read(talk.Query{Op: talk.OpHistory}) {
		want = append(want, *l.Happening)
	}
	require.NotEmpty(f, want)
	f.until("the follower has heard the last thing that happened", func() bool { return f.last() >= want[len(want)-1].Seq })
	f.mu.Lock()
	defer f.mu.Unlock()
	require.False(f, f.missed, "broken promise: nothing is missed")
	for i := range f.all[1:] {
		require.Less(f, f.all[i].Seq, f.all[i+1].Seq, "broken promise: each thing that happens is told once, in order")
	}
	from, ok := slices.BinarySearchFunc(f.all, want[0].Seq, func(x core.Happening, seq uint64) int { return cmp.Compare(x.Seq, seq) })
	require.True(f, ok, "broken promise: nothing that happened is lost for a follower")
	require.Equal(f, want, f.all[from:min(from+len(want), len(f.all))], "broken promise: a follower is told what the history says")
}
