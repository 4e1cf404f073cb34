package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/receive"
)

// What protection costs a request: the service as a pair against the same service without a backup, in every mode; and
// one connection with many requests in flight against a bare echo server on the same kind of socket. Every server
// is a process of its own, and this process is the client.

const (
	payloadSize = 64
	inFlight    = 16
)

type servePlan struct {
	Rounds  int           `json:"rounds"`
	Slice   time.Duration `json:"slice_ns"`  // of one contender in one round, once for latency and once for throughput
	Flight  int           `json:"in_flight"` // requests at a time, where throughput is measured
	Payload int           `json:"payload_bytes"`
}

func serveCommand(o *options) *cobra.Command {
	return &cobra.Command{Use: "serve", Short: "Cost of protection to a request", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p := servePlan{Rounds: 50, Slice: 30 * time.Millisecond, Flight: inFlight, Payload: payloadSize}
			if o.Quick {
				p.Rounds, p.Slice = 12, 15*time.Millisecond
			}
			return measure(o, "serve", p, func(ctx context.Context, w *world, r *report) error {
				return benchServe(ctx, w, r, p)
			})
		}}
}

// contender is somebody who answers requests.
type contender struct {
	name   string
	one    func() error                                             // one request, waited for
	many   func(n int, stop *atomic.Bool) (answered int, err error) // n in flight until stop
	waits  *times
	median values // latency of each round, in µs
	rate   values // requests per second of each round
}

// reset forgets the warming up.
func (c *contender) reset() { c.waits, c.median, c.rate = newTimes(), nil, nil }

func benchServe(ctx context.Context, w *world, r *report, p servePlan) error {
	var all []*contender
	for mode := pair.PrimaryComputes; mode <= pair.BackupEager; mode++ {
		for _, alone := range []bool{true, false} {
			c, stop, err := w.startContender(ctx, mode, alone)
			if err != nil {
				return err
			}
			defer stop()
			all = append(all, c...)
		}
	}
	echo, err := w.startEcho(ctx)
	if err != nil {
		return err
	}
	defer echo.close()
	all = append(all, echo.contenders()...)
	for round := -1; round < p.Rounds; round++ { // the first one warms up
		for i := range all {
			c := all[(i+round+1)%len(all)]
			if round < 0 {
				c.reset() // there must be something to add to
			}
			if err := c.round(ctx, p.Slice); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round < 0 {
				c.reset()
			}
		}
	}
	reportServe(r, all)
	return nil
}

// round measures the contender once: latency of one request at a time, then the rate with many in flight.
func (c *contender) round(ctx context.Context, slice time.Duration) error {
	waits := newTimes()
	for until := time.Now().Add(slice); c.one != nil; {
		began := time.Now()
		if began.After(until) {
			break
		}
		if err := c.one(); err != nil {
			return errors.Join(err, ctx.Err())
		}
		waits.add(time.Since(began))
	}
	c.waits.merge(waits)
	c.median = append(c.median, float64(waits.at(50))/1e3)

	var stop atomic.Bool
	defer time.AfterFunc(slice, func() { stop.Store(true) }).Stop()
	began := time.Now()
	n, err := c.many(inFlight, &stop)
	c.rate = append(c.rate, float64(n)/time.Since(began).Seconds())
	return errors.Join(err, ctx.Err())
}

// startContender starts the service; it contends with its own work (put), and as an echo server.
func (w *world) startContender(ctx context.Context, mode pair.Mode, alone bool) (cs []*contender, stop func(), err error) {
	name := mode.String()
	label := name + ", pair"
	if alone {
		name += "-alone"
		label = mode.String() + ", no backup"
	}
	t, err := w.startPair(ctx, name, mode, alone, 0)
	if err != nil {
		return nil, nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = t.conn.Close() })
	stop = func() {
		release()
		_ = t.stop(context.WithoutCancel(ctx))
	}
	payload := make([]byte, payloadSize)
	var key atomic.Uint32
	cs = append(cs, callers("put, "+label, func() error {
		_, err := receive.Call[int](context.Background(), t.conn, "put", put{Key: key.Add(1) % 1024, Value: payload})
		return err
	}))
	if !alone {
		cs = append(cs, callers("echo, "+label, func() error {
			_, err := receive.Call[[]byte](context.Background(), t.conn, "echo", payload)
			return err
		}))
	}
	return cs, stop, nil
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

func reportServe(r *report, all []*contender) {
	by := map[string]*contender{}
	for _, c := range all {
		by[c.name] = c
		if c.one != nil {
			r.row(c.waits.row("wait of " + c.name))
		}
	}
	for _, c := range all {
		r.row(c.rate.row("rate of "+c.name, "req/s"))
	}
	for mode := pair.PrimaryComputes; mode <= pair.BackupEager; mode++ {
		protected, alone := by["put, "+mode.String()+", pair"], by["put, "+mode.String()+", no backup"]
		r.atMost(mode.String()+": wait (p50) of a put, pair / no backup", ratios(protected.median, alone.median).median(), 1.15, "")
		r.atLeast(mode.String()+": rate of puts, pair / no backup", ratios(protected.rate, alone.rate).median(), .85)
	}
	bare, called := by[bareEcho], by[bareCallers]
	for mode := pair.PrimaryComputes; mode <= pair.BackupEager; mode++ {
		c := by["echo, "+mode.String()+", pair"]
		r.atLeast(mode.String()+": rate of echoes, pair / bare echo", ratios(c.rate, bare.rate).median(), .8)
		r.info(mode.String()+": rate of echoes, pair / bare echo with as many calling goroutines", ratios(c.rate, called.rate).median())
		r.info(mode.String()+": wait (p50) of an echo, pair / bare echo", ratios(c.median, bare.median).median())
	}
	r.note("rates are with %d requests in flight on one connection; ratios are medians over the rounds", inFlight)
}
