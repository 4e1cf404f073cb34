package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/examples/bank/bank"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// demo is one run: a bank, its customers, and the one who kills.
type demo struct {
	demoFlags
	*household
	screen    *screen
	load      *bank.Load
	pulses    []pulse
	rng       *rand.Rand
	takeovers []takeover
}

// How long to wait, at most.
const (
	replyWithin   = 10 * time.Second // for every client to have a reply
	restoreWithin = 30 * time.Second // for a killed pair to be protected again: longer than a backup's start is ever delayed
	recordWithin  = time.Second      // for the record of the takeover to be published
)

// A kill is made so long after the pair is protected and every client is served again.
const (
	soonest = 20 * time.Millisecond
	latest  = 200 * time.Millisecond
)

var errGaveUp = errors.New("a customer gave up")

// runDemo runs a demo to its end, whatever that is, and leaves no process and no file behind.
func runDemo(ctx context.Context, f demoFlags, s *screen) verdict {
	began := time.Now()
	d := &demo{demoFlags: f, screen: s, pulses: make([]pulse, f.clients), rng: rand.New(rand.NewPCG(f.seed, 0))}
	result, err := d.run(ctx)
	v := judgeDemo(d.takeovers, result, err)
	v.Clients, v.Seed, v.Seconds = f.clients, f.seed, time.Since(began).Seconds()
	return v
}

func (d *demo) run(ctx context.Context) (result bank.Result, err error) {
	if d.household, err = newHousehold(); err != nil {
		return result, err
	}
	defer func() {
		if words := d.lastWords(); err != nil && ctx.Err() == nil && words != "" {
			d.screen.print("\nThe members said:\n%s\n", strings.TrimSpace(words))
		}
		err = errors.Join(err, d.clear())
	}()
	d.screen.print("A bank as a process pair, %d customers who keep their own books, and %d times SIGKILL for the primary (seed %d).\n"+
		"To look on: pairmon status --dir %s\n", d.clients, d.kills, d.seed, runDir(d.home))
	if _, err := d.await(ctx, upWithin, "the pair is protected", protected); err != nil {
		return result, err
	}
	if err := d.startLoad(ctx); err != nil {
		return result, err
	}
	err = d.killAllTimes(ctx)
	d.screen.live("counting up")
	stop, cancel := context.WithTimeout(context.Background(), replyWithin)
	defer cancel()
	result = d.load.Stop(stop)
	d.screen.print("") // the living line is dead
	return result, err
}

func (d *demo) startLoad(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, replyWithin)
	defer cancel()
	d.load, err = bank.StartLoad(ctx, bank.LoadConfig{Name: bankName, Dir: runDir(d.home), Clients: d.clients, Seed: d.seed,
		Replied: func(client int, epoch uint32) { d.pulses[client].beat(time.Now(), epoch) }})
	return err
}

// killAllTimes makes all kills, or ends with the reason why not.
func (d *demo) killAllTimes(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel(nil)
	helpers.Go(func() {
		select {
		case <-d.load.GaveUp():
			cancel(errGaveUp)
		case <-ctx.Done():
		}
	})
	helpers.Go(func() { d.showRate(ctx) })
	d.screen.header()
	for n := range d.kills {
		t, err := d.killOnce(ctx)
		if err != nil {
			return fmt.Errorf("kill %d: %w", n+1, err)
		}
		d.takeovers = append(d.takeovers, t)
		d.screen.row(n+1, &t)
	}
	return nil
}

// killOnce kills the primary under load and follows the takeover until the pair is protected again.
func (d *demo) killOnce(ctx context.Context) (takeover, error) {
	page, t, err := d.ready(ctx)
	if err != nil {
		return t, err
	}
	victim, err := proc.Open(proc.ID{PID: page.Primary.PID, Start: page.Primary.Start})
	if err != nil {
		return t, fmt.Errorf("cannot kill the primary: %w", err)
	}
	defer victim.Close()
	gaps := make(chan time.Duration, len(d.pulses))
	for i := range d.pulses {
		d.pulses[i].expect(page.Epoch, gaps)
	}
	killed := time.Now()
	if err := victim.Signal(unix.SIGKILL); err != nil {
		return t, fmt.Errorf("cannot kill the primary: %w", err)
	}
	if t.gaps, err = d.collect(ctx, gaps); err != nil {
		return t, err
	}
	again := func(p *registry.Page) bool {
		return p.Epoch > page.Epoch && protected(p) && p.LastTakeover != nil && p.LastTakeover.RestoredUS > 0
	}
	after, err := d.await(ctx, restoreWithin, "the pair is protected again", again)
	if err != nil {
		return t, err
	}
	// On a starved machine the rest of the record may be published even later. A phase that is not is shown as missing.
	whole := func(p *registry.Page) bool {
		return again(p) && p.LastTakeover.FencedUS > 0 && p.LastTakeover.FirstReplyUS > 0
	}
	if p, err := d.await(ctx, recordWithin, "the record is whole", whole); err == nil {
		after = p
	}
	t.phases, t.cause = sinceKill(killed, after.LastTakeover), after.LastTakeover.Cause
	return t, nil
}

// ready returns at a random moment in which the pair is protected and serves all clients. The takeover tells how it was
// just before.
func (d *demo) ready(ctx context.Context) (page registry.Page, t takeover, err error) {
	for {
		if page, err = d.await(ctx, restoreWithin, "the pair is protected", protected); err != nil {
			return page, t, err
		}
		if err := d.everybodyServed(ctx); err != nil {
			return page, t, err
		}
		began, before := time.Now(), d.load.Requests()
		d.calm()
		if err := pause(ctx, soonest+time.Duration(d.rng.Int64N(int64(latest-soonest)))); err != nil {
			return page, t, err
		}
		served := d.load.Requests() - before
		now, err := d.page()
		if err == nil && served > 0 && protected(&now) && now.Epoch == page.Epoch {
			return now, takeover{pid: now.Primary.PID, rate: float64(served) / time.Since(began).Seconds(), calm: d.calm()}, nil
		}
	}
}

func (d *demo) calm() (gaps []time.Duration) {
	for i := range d.pulses {
		gaps = append(gaps, d.pulses[i].calm())
	}
	return gaps
}

// everybodyServed waits until every client has one more reply.
func (d *demo) everybodyServed(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, replyWithin, fmt.Errorf("no reply in %v", replyWithin))
	defer cancel()
	for i := range d.pulses {
		p := &d.pulses[i]
		for before := p.replies.Load(); p.replies.Load() == before; {
			if err := pause(ctx, time.Millisecond); err != nil {
				return fmt.Errorf("waiting for client %d to be served: %w", i, err)
			}
		}
	}
	return nil
}

// collect waits for the gap of every client.
func (d *demo) collect(ctx context.Context, gaps <-chan time.Duration) (out []time.Duration, err error) {
	late := time.After(replyWithin)
	for range d.pulses {
		select {
		case gap := <-gaps:
			out = append(out, gap)
		case <-late:
			return out, fmt.Errorf("%d of %d clients are served %v after the kill", len(out), len(d.pulses), replyWithin)
		case <-ctx.Done():
			return out, fmt.Errorf("waiting for the clients to be served: %w", context.Cause(ctx))
		}
	}
	return out, nil
}

// showRate keeps the living line up to date.
func (d *demo) showRate(ctx context.Context) {
	const every = 250 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	at, before := time.Now(), d.load.Requests()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			n := d.load.Requests()
			d.screen.live("  %.0f requests/s, %d so far", float64(n-before)/now.Sub(at).Seconds(), n)
			at, before = now, n
		}
	}
}
