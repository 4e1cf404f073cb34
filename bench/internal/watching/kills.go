package watching

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/bench/internal/figures"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/ham"
	"github.com/1fb4ed1c/tandem/ham/talk"
)

// Programs die all the time, and so does HAM. Each death must be in the history once, and each program must be started again once.

// mortal is one program, and what has become of it.
type mortal struct {
	name   string
	said   int           // pid of the present one, as it says itself
	told   int           // and as HAM tells
	struck time.Duration // when it was killed; 0: it has said since that it runs
	starts int           // how often it has said so
	kills  int
}

// runs reports whether the program runs, and everybody knows. One that dies before HAM has told of it, and HAM too, is started again all the
// same; but nobody knows then that it had run.
func (m *mortal) runs() bool { return m.said != 0 && m.said == m.told && m.struck == 0 }

// mortals are all of them.
type mortals struct {
	mu      sync.Mutex
	all     []*mortal
	killed  map[int]bool   // pids
	deaths  map[int]int    // by pid: how often HAM has told of it
	running *figures.Times // from each kill until the program runs again
}

func newMortals(n int) *mortals {
	m := &mortals{killed: map[int]bool{}, deaths: map[int]int{}, running: figures.NewTimes()}
	for i := range n {
		m.all = append(m.all, &mortal{name: "mortal-" + strconv.Itoa(i)})
	}
	return m
}

// named returns a program, nil if there is none of that name. m is locked.
func (m *mortals) named(name string) *mortal {
	for _, x := range m.all {
		if x.name == name {
			return x
		}
	}
	return nil
}

// began takes note of a program that has begun to run.
func (m *mortals) began(b begun) {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.named(b.name)
	if x == nil {
		return
	}
	x.said = b.pid
	x.starts++
	if x.struck != 0 {
		m.running.Add(b.at - x.struck)
		x.struck = 0
	}
}

// told takes note of what HAM tells.
func (m *mortals) told(h ham.Happening) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch x := m.named(h.Entity); {
	case h.What == ham.HasDied:
		m.deaths[h.PID]++
	case x != nil && (h.What == ham.HasAttached || h.What == ham.HasRestarted):
		x.told = h.PID
	}
}

// kill kills one of those that run, if there is one.
func (m *mortals) kill(rng *rand.Rand) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range rng.Perm(len(m.all)) {
		x := m.all[i]
		if !x.runs() {
			continue
		}
		x.struck = monotonic()
		x.kills++
		m.killed[x.said] = true
		if err := unix.Kill(x.said, unix.SIGKILL); err != nil {
			return fmt.Errorf("%s has died by itself: %w", x.name, err)
		}
		return nil
	}
	return nil
}

// follow takes note of what HAM tells, until ctx ends.
func (m *mortals) follow(ctx context.Context, c *ham.Client) error {
	for x, err := range c.Follow(ctx, 0) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err // also that something was left out
		}
		m.told(x)
	}
	return nil
}

// atRest reports whether every program runs, and every death has been told.
func (m *mortals) atRest() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := len(m.deaths) >= len(m.killed)
	for _, x := range m.all {
		rest = rest && x.runs()
	}
	return rest
}

// balance is what should be there once for each death, and is not, or is there once more.
type balance struct{ lost, doubled int }

func (b *balance) count(is, expected int) {
	b.lost += max(expected-is, 0)
	b.doubled += max(is-expected, 0)
}

// compare compares what HAM has told, and its records, with what has happened.
func (m *mortals) compare(records []*ham.Record) (told, counted, started balance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for pid := range m.killed {
		told.count(m.deaths[pid], 1)
	}
	for pid, n := range m.deaths {
		if !m.killed[pid] {
			told.doubled += n
		}
	}
	of := map[string]*ham.Record{}
	for _, e := range records {
		of[e.Name] = e
	}
	for _, x := range m.all {
		started.count(x.starts, x.kills+1)
		if e := of[x.name]; e != nil {
			counted.count(int(e.Deaths), x.kills)
			counted.count(int(e.Restarts), x.kills)
		} else {
			counted.lost++
		}
	}
	return told, counted, started
}

func measureKills(ctx context.Context, w *world.World, r *figures.Report, p plan) (err error) {
	m := newMortals(p.Programs)
	programs, err := newPrograms(w, m.began)
	if err != nil {
		return err
	}
	defer programs.close()
	h, err := startHAM(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop(ctx)) }()
	following, over := context.WithCancel(ctx)
	var told error
	var all sync.WaitGroup
	all.Go(func() { told = m.follow(following, h.client) })
	defer all.Wait()
	defer over()
	for _, x := range m.all {
		e := restarted(x.name, programs.command(x.name))
		if _, err := h.client.Declare(ctx, ham.Declare{Entity: &e}); err != nil {
			return err
		}
	}
	if err := m.await(ctx); err != nil {
		return err
	}
	began := time.Now()
	away, k, err := h.killBoth(ctx, m, p)
	if err != nil {
		return err
	}
	lasted := time.Since(began)
	if err := m.await(ctx); err != nil && ctx.Err() != nil {
		return err // else what is missing is counted as lost
	}
	world.Pause(ctx, p.Rest) // for what comes twice
	records, err := h.client.Records(ctx)
	over()
	all.Wait()
	if err = errors.Join(err, told); err != nil {
		return err
	}
	m.report(r, records)
	r.Row(away.Row("HAM is away, as a client sees it, after a SIGKILL"))
	r.Note("HAM was killed %d times in %v, and %d programs died, %.0f a minute", len(k.At), lasted.Round(time.Second), len(m.killed), float64(len(m.killed))/lasted.Minutes())
	return nil
}

// await waits until all is at rest.
func (m *mortals) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dieIn)
	defer cancel()
	for !m.atRest() {
		if world.Pause(ctx, time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("not all programs run: %w", ctx.Err())
		}
	}
	return nil
}

// killBoth kills programs, and HAM, until HAM has been killed often enough.
func (h *hamUnderTest) killBoth(ctx context.Context, m *mortals, p plan) (*figures.Times, *subject.Killer, error) {
	probe := &probe{client: h.client, away: figures.NewTimes()}
	var kills atomic.Int64
	rng := rand.New(rand.NewPCG(h.w.Options.Seed, 1))
	before := func() {
		kills.Add(1)
		probe.struck.Store(int64(monotonic()))
	}
	k, err := subject.UnderKills(ctx, h.w, talk.Pair, p.Every, before, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		var probing sync.WaitGroup
		probing.Go(func() {
			if err := probe.run(ctx); err != nil {
				cancel(err)
			}
		})
		mean := time.Minute / time.Duration(p.Rate)
		for next := time.Now(); ctx.Err() == nil && (kills.Load() < int64(p.Kills) || probe.struck.Load() != 0); {
			next = next.Add(mean/2 + time.Duration(rng.Int64N(int64(mean))))
			world.Pause(ctx, time.Until(next))
			if err := m.kill(rng); err != nil {
				cancel(err)
			}
		}
		err = context.Cause(ctx)
		cancel(nil)
		probing.Wait()
		return err
	})
	return probe.away, k, err
}

// probe asks HAM something all the time, and finds out how long it does not answer after a kill.
type probe struct {
	client *ham.Client
	struck atomic.Int64 // when HAM was about to be killed; 0: its time away is known
	away   *figures.Times
}

const (
	probeEvery = time.Millisecond
	awayWithin = 200 * time.Millisecond // the longest wait that began within this time after a kill is the one that is due to it
)

func (p *probe) run(ctx context.Context) error {
	for longest := time.Duration(0); ctx.Err() == nil; world.Pause(ctx, probeEvery) {
		asked := monotonic()
		_, err := p.client.Control(ctx, ham.Control{Verb: ham.VerbosityGet})
		if err != nil && ctx.Err() == nil {
			return err
		}
		now, struck := monotonic(), time.Duration(p.struck.Load())
		if struck == 0 {
			continue
		}
		longest = max(longest, now-max(asked, struck))
		if now-struck > awayWithin {
			p.away.Add(longest)
			p.struck.Store(0)
			longest = 0
		}
	}
	return nil
}

// report tells what was lost and what was doubled.
func (m *mortals) report(r *figures.Report, records []*ham.Record) {
	told, counted, started := m.compare(records)
	n := len(m.killed)
	for _, x := range []struct {
		what string
		balance
	}{{"deaths in the history", told}, {"deaths and restarts in the records", counted}, {"starts of the programs", started}} {
		r.AtMost(fmt.Sprintf("HAM is killed while %d programs die: %s, lost", n, x.what), float64(x.lost), 0, "")
		r.AtMost(fmt.Sprintf("HAM is killed while %d programs die: %s, doubled", n, x.what), float64(x.doubled), 0, "")
	}
	r.Row(m.running.Row("program runs again, while HAM is killed"))
}
