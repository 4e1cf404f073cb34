package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	payloadSize = 64   // bytes of an update
	keys        = 1024 // under which they are stored
)

// replicator makes updates safe on a second holder.
type replicator interface {
	// Start starts all of its processes, and what so many callers need.
	Start(ctx context.Context, callers int) error
	// Update makes a batch of updates, and returns when the second holder has all of them. Each caller makes one at a time.
	Update(ctx context.Context, caller int, key uint32) error
	// Stop ends the connections. Processes end with the world.
	Stop()
}

// replica is a replicator in the list of all.
type replica struct {
	name    string
	what    string // what is acknowledged, in a few words
	batch   int    // updates in one call
	shared  bool   // a time is that of a call divided by its updates; else every update waits for the whole call
	callers []int
	needs   []program
	make    func(w *world) replicator
}

// replicas lists all of them, ours first.
func replicas() []replica {
	one, few := []int{1}, []int{1, manyCallers}
	return []replica{
		{name: "tandem", what: "a request to the pair: handled, checkpointed, answered", batch: 1, callers: few, make: newTandemTable},
		{name: "tandem-log", what: "an append to the checkpoint log; the reader drains it every ms", batch: logBatch, shared: true, callers: one, make: newLog},
		{name: "grpc", what: "unary call over a unix socket to a process that stores it", batch: 1, callers: few, make: newGRPC},
		{name: "nats-core", what: "request and reply through a server to a process that stores it", batch: 1, callers: few, make: newNATSCore},
		{name: "nats-jetstream", what: "acknowledged publish, stream in memory, 1 replica", batch: 1, callers: few, make: newNATSJetStream},
		{name: "redis-wait", what: "SET and WAIT 1", batch: 1, callers: few, needs: []program{redisServer}, make: newRedisWait(1)},
		{name: "redis-pipelined", what: "16 SETs and one WAIT 1 at a time", batch: manyCallers, callers: one, needs: []program{redisServer}, make: newRedisWait(manyCallers)},
		{name: "etcd-put", what: "put, 3 members, each with fsync", batch: 1, callers: few, make: newEtcdPut(false)},
		{name: "etcd-put-nofsync", what: "put, 3 members, none with fsync", batch: 1, callers: few, make: newEtcdPut(true)},
	}
}

const manyCallers = 16

// race is a replicator, and what was measured of it with each number of callers.
type race struct {
	replica
	replicator
	results []*result
}

// result is that with one number of callers.
type result struct {
	callers int
	rates   []float64 // updates per second, in each round
	took    *times
}

// startRaces starts them all, at the same time.
func startRaces(ctx context.Context, races []*race) error {
	var wg sync.WaitGroup
	errs := make([]error, len(races))
	for i, c := range races {
		for _, n := range c.callers {
			c.results = append(c.results, &result{callers: n, took: newTimes()})
		}
		wg.Go(func() {
			err := c.Start(ctx, c.callers[len(c.callers)-1])
			if err == nil {
				err = until(ctx, c.name, func(ctx context.Context) error { return c.Update(ctx, 0, 0) })
			}
			if err != nil {
				errs[i] = fmt.Errorf("cannot start %s: %w", c.name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// throughput gives each number of callers of each replicator its slice of each round.
func throughput(ctx context.Context, w *world, races []*race, rounds int, slice time.Duration, progress func(string, ...any)) error {
	for round := range rounds {
		for _, i := range w.rng.Perm(len(races)) {
			for _, r := range races[i].results {
				if err := races[i].run(ctx, r, slice); err != nil {
					return fmt.Errorf("%s: %w", races[i].name, err)
				}
			}
		}
		progress("throughput: round %d of %d", round+1, rounds)
	}
	return nil
}

// run has the callers update for a while.
func (c *race) run(ctx context.Context, r *result, slice time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, slice+patience)
	defer cancel()
	var wg sync.WaitGroup
	var updates atomic.Int64
	took, errs := make([]*times, r.callers), make([]error, r.callers)
	began := time.Now()
	for i := range r.callers {
		took[i] = newTimes()
		wg.Go(func() {
			var n int64
			n, errs[i] = c.calls(ctx, i, took[i], began.Add(slice))
			updates.Add(n)
		})
	}
	wg.Wait()
	r.rates = append(r.rates, float64(updates.Load())/time.Since(began).Seconds())
	for _, t := range took {
		r.took.h.Merge(t.h)
	}
	return errors.Join(errs...)
}

// calls is one caller: it updates until the end of the slice, and at least once.
func (c *race) calls(ctx context.Context, caller int, took *times, end time.Time) (updates int64, err error) {
	per := time.Duration(1)
	if c.shared {
		per = time.Duration(c.batch)
	}
	key := uint32(caller)
	for at := time.Now(); updates == 0 || at.Before(end); {
		if err := c.Update(ctx, caller, key); err != nil {
			return updates, err
		}
		now := time.Now()
		took.add(now.Sub(at) / per)
		at, key, updates = now, (key+manyCallers)%keys, updates+int64(c.batch)
	}
	return updates, nil
}
