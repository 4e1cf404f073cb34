package hands

import (
	"time"
)

// never is the time of what is not due at all.
const never = time.Duration(1<<63 - 1)

// rounds makes one goroutine do what is due, whenever something is.
type rounds struct {
	h      *Hands
	kicked chan struct{}
	do     func(now time.Duration) (next time.Duration) // the CLOCK_MONOTONIC time at which it wants to be called again, or never
}

func newRounds(h *Hands, do func(now time.Duration) (next time.Duration)) *rounds {
	r := &rounds{h: h, kicked: make(chan struct{}, 1), do: do}
	h.go_(r.run)
	return r
}

// kick has it look anew at what is due.
func (r *rounds) kick() {
	select {
	case r.kicked <- struct{}{}:
	default:
	}
}

func (r *rounds) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-r.kicked:
		case <-r.h.ctx.Done():
			return
		}
		if next := r.do(monotonic()); next == never {
			timer.Stop()
		} else {
			timer.Reset(next - monotonic())
		}
	}
}
