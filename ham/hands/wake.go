package hands

import (
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
)

// alarm is the one timer of the state machine.
type alarm struct {
	h     *Hands
	mu    sync.Mutex
	timer *time.Timer
}

// at has a Tick posted at this time, instead of at the one given before. Below 0: none is.
func (a *alarm) at(t time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	if t >= 0 && a.h.ctx.Err() == nil {
		a.timer = time.AfterFunc(t-monotonic(), a.ring)
	}
}

// ring posts the Tick. All that is to be known about heartbeats comes before it: none counts as missed that is there to be seen.
func (a *alarm) ring() {
	a.h.beats.lookNow()
	a.h.event(core.Event{Tick: &core.Tick{}})
}

func (a *alarm) stop() { a.at(-1) }
