package subject

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// Killer kills the primary of a pair, again and again, but only while the pair is protected.
type Killer struct {
	w      *world.World
	name   string
	every  time.Duration // on average
	rng    *rand.Rand
	before func() // called right before each kill

	At          []time.Time   // of each kill
	Unprotected time.Duration // from each kill to the next synchronised backup
	Strays      int           // takeovers that no kill of ours has caused
}

// UnderKills runs load while the primary of a pair is killed. What the killer found out can be read afterwards.
func UnderKills(ctx context.Context, w *world.World, name string, every time.Duration, before func(), load func(context.Context) error) (*Killer, error) {
	k := &Killer{w: w, name: name, every: every, rng: rand.New(rand.NewPCG(w.Options.Seed, w.Rand.Uint64())), before: before}
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
func (k *Killer) run(ctx, loading context.Context) error {
	for last := time.Now(); ; {
		world.Pause(loading, time.Until(last.Add(k.every/2+time.Duration(k.rng.Int64N(int64(k.every))))))
		p, err := k.await(ctx, "protected", Protected)
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
func (k *Killer) kill(ctx context.Context, p *registry.Page) error {
	victim, err := Member(p.Primary)
	if err != nil {
		return fmt.Errorf("the primary has died by itself: %w", err)
	}
	defer victim.Close()
	k.before()
	at := time.Now()
	if err := victim.Signal(unix.SIGKILL); err != nil {
		return fmt.Errorf("the primary has died by itself: %w", err)
	}
	k.At = append(k.At, at)
	q, err := k.await(ctx, "protected again", func(q *registry.Page) bool {
		t := q.LastTakeover
		return Protected(q) && t != nil && t.Epoch > p.Epoch && t.RestoredUS > 0
	})
	if err != nil {
		return err
	}
	if q.Instance != p.Instance {
		return errors.New("the pair has died, and begun anew without its state")
	}
	k.Unprotected += q.LastTakeover.At.Sub(at) + time.Duration(q.LastTakeover.RestoredUS)*time.Microsecond
	k.Strays += int(q.Epoch - p.Epoch - 1)
	return nil
}

func (k *Killer) await(ctx context.Context, what string, ok func(*registry.Page) bool) (registry.Page, error) {
	return k.w.AwaitPage(ctx, k.name, 2*time.Millisecond, world.StartWithin, what, ok)
}

// Struck reports whether there was a kill in a stretch of time.
func (k *Killer) Struck(s world.Span) bool {
	for _, at := range k.At {
		if !at.Before(s.From) && !at.After(s.To) {
			return true
		}
	}
	return false
}
