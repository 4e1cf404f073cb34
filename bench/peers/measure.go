package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// measure runs both parts, each in a world of its own: what is not measured does not run.
func measure(ctx context.Context, o *options, r *report) (err error) {
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	small := sync.OnceValues(func() (string, error) { return buildSmall(dir) })
	for _, part := range []func(context.Context, *options, *world, *report) error{measureFailover, measureThroughput} {
		w, err := newWorld(o.Seed, small)
		if err != nil {
			return err
		}
		err = part(ctx, o, w, r)
		if ctx.Err() != nil { // what the processes say then is no news
			return errors.Join(errInterrupted, w.close(nil))
		}
		if err := w.close(err); err != nil {
			return err
		}
	}
	return nil
}

var errInterrupted = errors.New("interrupted")

// idleFor is how long everybody is left alone, to see what that costs.
const idleFor = 500 * time.Millisecond

// progress goes to stderr: stdout is the report.
func (r *report) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

func measureFailover(ctx context.Context, o *options, w *world, r *report) error {
	var trials []*trial
	for _, e := range entries() {
		if !o.takesPart(e.name) || r.leftOut(e.name, e.needs) {
			continue
		}
		t := &trial{entry: e, contestant: e.make(w), quota: o.quota(e)}
		trials = append(trials, t)
		defer t.Stop()
	}
	if len(trials) == 0 {
		return nil
	}
	if err := startAll(ctx, trials); err != nil {
		return err
	}
	r.versions(ctx, trials)
	began := w.readProcessorTime()
	if err := sleep(ctx, idleFor); err != nil {
		return err
	}
	r.Idle = w.readProcessorTime().busySince(began)
	r.progress("failover: %d contestants run", len(trials))
	err := failover(ctx, w, trials, o.Kills, r.progress)
	for _, t := range trials {
		r.addFailover(t)
	}
	return err
}

func measureThroughput(ctx context.Context, o *options, w *world, r *report) error {
	var races []*race
	for _, e := range replicas() {
		if !o.takesPart(e.name) || r.leftOut(e.name, e.needs) {
			continue
		}
		c := &race{replica: e, replicator: e.make(w)}
		races = append(races, c)
		defer c.Stop()
	}
	if len(races) == 0 {
		return nil
	}
	rounds, slice := 10, 400*time.Millisecond
	if o.Quick {
		rounds, slice = 3, 50*time.Millisecond
	}
	if err := startRaces(ctx, races); err != nil {
		return err
	}
	r.progress("throughput: %d contestants run", len(races))
	if err := throughput(ctx, w, races, rounds, slice, r.progress); err != nil {
		return err
	}
	r.addThroughput(races)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
