package main

import (
	"sync/atomic"
	"time"
)

// pulse follows the replies that one client gets, and measures how long it waits when the primary is killed. It is written
// by the goroutine of its client, and read by that which kills.
type pulse struct {
	last    time.Time // of the latest reply; the client's own
	replies atomic.Int64
	longest atomic.Int64 // ns between two replies, since the last call of calm
	watch   atomic.Pointer[watch]
	_       [64]byte // another client's counters are in another cache line
}

// watch is the wish to know the gap around one kill.
type watch struct {
	epoch   uint32               // in which the kill is made
	longest time.Duration        // gap that ended since
	gaps    chan<- time.Duration // gets one value; it must have room for it
}

// beat notes a reply. epoch is the latest that the client has heard of: one that is above the killed primary's says that
// this reply comes from the new one, and so ends the gap.
func (p *pulse) beat(now time.Time, epoch uint32) {
	if !p.last.IsZero() {
		p.gap(now.Sub(p.last), epoch)
	}
	p.last = now
	p.replies.Add(1)
}

func (p *pulse) gap(gap time.Duration, epoch uint32) {
	if int64(gap) > p.longest.Load() {
		p.longest.Store(int64(gap))
	}
	w := p.watch.Load()
	if w == nil {
		return
	}
	w.longest = max(w.longest, gap)
	if epoch > w.epoch {
		p.watch.Store(nil)
		w.gaps <- w.longest
	}
}

// calm returns the longest time between two replies since the call before, and begins anew.
func (p *pulse) calm() time.Duration { return time.Duration(p.longest.Swap(0)) }

// expect makes the pulse report the longest time between two replies from now to the first reply of the primary that
// follows the one of the given epoch.
func (p *pulse) expect(epoch uint32, gaps chan<- time.Duration) {
	p.watch.Store(&watch{epoch: epoch, gaps: gaps})
}
