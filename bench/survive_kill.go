package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/registry"
)

// killer kills the primary of a pair, again and again, but only while the pair is protected.
type killer struct {
	w      *world
	name   string
	every  time.Duration // on average
	rng    *rand.Rand
	before func() // called right before each kill

	at          []time.Time   // of each kill
	unprotected time.Duration // from each kill to the next synchronised backup
	strays      int           // takeovers that no kill of ours has caused
}

// underKills runs load while the primary of a pair is killed. What the killer found out can be read afterwards.
func (w *world) underKills(ctx context.Context, name string, every time.Duration, before func(), load func(context.Context) error) (*killer, error) {
	k := &killer{w: w, name: name, every: every, rng: rand.New(rand.NewPCG(w.o.Seed, w.rng.Uint64())), before: before}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loading, over := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() {
		err := k.run(ctx, loading)
		if err != nil {
			cancel()
		}
		failed <- err
	}()
	err := load(ctx)
	over()
	if kerr := <-failed; kerr != nil {
		return nil, kerr // what load says then follows from it
	}
	return k, err
}

// run kills until loading is over, and leaves the pair protected.
func (k *killer) run(ctx, loading context.Context) error {
	for last := time.Now(); ; {
		pause(loading, time.Until(last.Add(k.every/2+time.Duration(k.rng.Int64N(int64(k.every))))))
		p, err := k.await(ctx, "protected", protected)
		if err != nil || loading.Err() != nil {
			return err
		}
		last = time.Now()
		if err := k.kill(ctx, &p); err != nil {
			return err
		}
	}
}

// kill kills the primary and waits until another process is, with a backup.
func (k *killer) kill(ctx context.Context, p *registry.Page) error {
	victim, err := member(p.Primary)
	if err != nil {
		return fmt.Errorf("the primary has died by itself: %w", err)
	}
	defer victim.Close()
	k.before()
	at := time.Now()
	if err := victim.Signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("the primary has died by itself: %w", err)
	}
	k.at = append(k.at, at)
	q, err := k.await(ctx, "protected again", func(q *registry.Page) bool {
		t := q.LastTakeover
		return protected(q) && t != nil && t.Epoch > p.Epoch && t.RestoredUS > 0
	})
	if err != nil {
		return err
	}
	if q.Instance != p.Instance {
		return errors.New("the pair has died, and begun anew without its state")
	}
	k.unprotected += q.LastTakeover.At.Sub(at) + time.Duration(q.LastTakeover.RestoredUS)*time.Microsecond
	k.strays += int(q.Epoch - p.Epoch - 1)
	return nil
}

func (k *killer) await(ctx context.Context, what string, ok func(*registry.Page) bool) (registry.Page, error) {
	return k.w.awaitPage(ctx, k.name, 2*time.Millisecond, startWithin, what, ok)
}

// struck reports whether there was a kill in a stretch of time.
func (k *killer) struck(s span) bool {
	for _, at := range k.at {
		if !at.Before(s.from) && !at.After(s.to) {
			return true
		}
	}
	return false
}
