package contrast

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// The gap that a client sees: it has one request outstanding at any time, and a fault strikes at a random moment.

const (
	runUp      = 10 * time.Millisecond // of traffic before the fault, at least; at most three times as long
	leastRunUp = 50                    // replies in it, or the measurement is void
)

// outage is one of them.
type outage struct {
	struck  time.Time     // the moment before the fault
	gap     time.Duration // from there to the next reply, by another process
	silence time.Duration // between the last reply before it and that one
	before  int           // replies before the fault
}

func (o *outage) void() bool { return o.before < leastRunUp }

// client makes one request and says who answered: any number that is another one after a takeover.
type client func() (who uint64, err error)

// observe makes requests until the fault that strike causes has passed.
func observe(ctx context.Context, after time.Duration, call client, strike func() error) (o outage, err error) {
	first, err := call()
	if err != nil {
		return o, err
	}
	at, hit := make(chan time.Time, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		time.Sleep(after)
		at <- time.Now()
		hit <- strike()
	}()
	for last := time.Now(); ; o.before++ {
		who, err := call()
		now := time.Now()
		if err != nil || ctx.Err() != nil {
			return o, errors.Join(err, ctx.Err())
		}
		if who != first {
			o.struck = <-at
			o.gap, o.silence = now.Sub(o.struck), now.Sub(last)
			if o.gap < 0 {
				return o, errors.New("another process answered before there was a fault")
			}
			return o, <-hit
		}
		last = now
		select {
		case err := <-hit:
			if err != nil {
				return o, err
			}
			hit <- nil
		default:
		}
	}
}
