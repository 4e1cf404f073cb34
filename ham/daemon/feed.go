package daemon

import (
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// feed hands what happens on to those who follow it. It keeps what the history keeps, so that a follower who comes back from a HAM
// before this one misses nothing. Any goroutine may use it.
type feed struct {
	mu        sync.Mutex
	kept      []core.Happening // oldest first
	trimmed   bool             // something older was there
	followers []*follower
}

// follower is one who is told. All of it is guarded by the feed's lock but the channel.
type follower struct {
	after  uint64
	client uint64   // 0: it is told what happens only
	told   [][]byte // by actions
	more   chan struct{}
}

const (
	keptLess = core.GlobalHistory
	keptMost = 2 * core.GlobalHistory
	toldMost = 1000 // lines that wait for a client
)

func newFeed(history iter.Seq[*core.Happening]) *feed {
	f := &feed{}
	for h := range history {
		f.kept = append(f.kept, *h)
	}
	f.trimmed = len(f.kept) >= keptLess
	return f
}

// publish adds what has happened.
func (f *feed) publish(h core.Happening) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept = append(f.kept, h); len(f.kept) > keptMost {
		f.kept, f.trimmed = slices.Clone(f.kept[len(f.kept)-keptLess:]), true
	}
	for _, w := range f.followers {
		w.wake()
	}
}

// tell passes a line on to a client that follows. It is an error if none does.
func (f *feed) tell(client uint64, line []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.followers, func(w *follower) bool { return w.client == client })
	if i < 0 {
		return fmt.Errorf("client %d does not follow what happens", client)
	}
	w := f.followers[i]
	if len(w.told) >= toldMost {
		return fmt.Errorf("client %d has not read the last %d lines", client, toldMost)
	}
	w.told = append(w.told, slices.Clone(line))
	w.wake()
	return nil
}

// follow begins to tell a new follower what has happened after a number.
func (f *feed) follow(after, client uint64) *follower {
	w := &follower{after: after, client: client, more: make(chan struct{}, 1)}
	f.mu.Lock()
	f.followers = append(f.followers, w)
	f.mu.Unlock()
	return w
}

func (f *feed) leave(w *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers = slices.DeleteFunc(f.followers, func(x *follower) bool { return x == w })
}

// next returns what a follower has not been told yet, and whether something before it is not kept any more.
func (f *feed) next(w *follower) (happened []core.Happening, missed bool, told [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.kept, w.after, func(h core.Happening, after uint64) int {
		if h.Seq <= after {
			return -1
		}
		return 1
	})
	missed = i == 0 && f.trimmed && w.after != 0
	happened = slices.Clone(f.kept[i:])
	if n := len(happened); n > 0 {
		w.after = happened[n-1].Seq
	}
	told, w.told = w.told, nil
	return happened, missed && len(happened) > 0, told
}

func (w *follower) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}
