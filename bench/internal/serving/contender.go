package serving

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// contender is somebody who answers requests.
type contender struct {
	name   string
	one    func() error                                             // one request, waited for
	many   func(n int, stop *atomic.Bool) (answered int, err error) // n in flight until stop
	waits  *figures.Times
	median figures.Values // latency of each round, in µs
	rate   figures.Values // requests per second of each round
}

// reset forgets the warming up.
func (c *contender) reset() { c.waits, c.median, c.rate = figures.NewTimes(), nil, nil }

// round measures the contender once: latency of one request at a time, then the rate with many in flight.
func (c *contender) round(ctx context.Context, slice time.Duration) error {
	waits := figures.NewTimes()
	for until := time.Now().Add(slice); c.one != nil; {
		began := time.Now()
		if began.After(until) {
			break
		}
		if err := c.one(); err != nil {
			return errors.Join(err, ctx.Err())
		}
		waits.Add(time.Since(began))
	}
	c.waits.Merge(waits)
	c.median = append(c.median, float64(waits.At(50))/1e3)

	var stop atomic.Bool
	defer time.AfterFunc(slice, func() { stop.Store(true) }).Stop()
	began := time.Now()
	n, err := c.many(inFlight, &stop)
	c.rate = append(c.rate, float64(n)/time.Since(began).Seconds())
	return errors.Join(err, ctx.Err())
}

// callers makes a contender of a request that any goroutine may make.
func callers(name string, one func() error) *contender {
	return &contender{name: name, one: one, many: func(n int, stop *atomic.Bool) (int, error) {
		var answered atomic.Int64
		var failed atomic.Pointer[error]
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				mine := int64(0)
				for !stop.Load() {
					if err := one(); err != nil {
						failed.Store(&err)
						break
					}
					mine++
				}
				answered.Add(mine)
			})
		}
		wg.Wait()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return int(answered.Load()), nil
	}}
}

// startContender starts the service; it contends with its own work (put), and as an echo server.
func startContender(ctx context.Context, w *world.World, mode pair.Mode, alone bool) (cs []*contender, stop func(), err error) {
	name := mode.String()
	label := name + ", pair"
	if alone {
		name += "-alone"
		label = mode.String() + ", no backup"
	}
	t, err := subject.Start(ctx, w, name, subject.Config{Mode: mode, Alone: alone})
	if err != nil {
		return nil, nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = t.Conn.Close() })
	stop = func() {
		release()
		_ = t.Stop(context.WithoutCancel(ctx))
	}
	payload := make([]byte, subject.PayloadSize)
	var key atomic.Uint32
	cs = append(cs, callers("put, "+label, func() error {
		_, err := receive.Call[int](context.Background(), t.Conn, "put", subject.Put{Key: key.Add(1) % 1024, Value: payload})
		return err
	}))
	if !alone {
		cs = append(cs, callers("echo, "+label, func() error {
			_, err := receive.Call[[]byte](context.Background(), t.Conn, "echo", payload)
			return err
		}))
	}
	return cs, stop, nil
}
