package ham

import (
	"context"
	"time"
)

const (
	firstPause = time.Millisecond
	lastPause  = 250 * time.Millisecond
	restPause  = time.Second      // of those who do not give up
	outage     = 30 * time.Second // HAM is not waited for any longer: as long as package receive tries
)

// patience paces attempts to find HAM again: they grow rarer, and end.
type patience struct {
	since time.Time // of the first failure
	pause time.Duration
}

// wait pauses before the next attempt. It reports whether one is to be made.
func (p *patience) wait(ctx context.Context) bool { return p.waitFor(ctx, outage) }

// waitFor is wait with another bound for all attempts together.
func (p *patience) waitFor(ctx context.Context, most time.Duration) bool {
	if p.since.IsZero() {
		p.since = time.Now()
	}
	return time.Since(p.since) < most && sleep(ctx, p.next(lastPause))
}

// next returns the next pause, which is twice as long as the one before, up to the longest.
func (p *patience) next(longest time.Duration) time.Duration {
	p.pause = min(max(2*p.pause, firstPause), longest)
	return p.pause
}

// sleep reports whether it has slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
