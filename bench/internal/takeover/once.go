package takeover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/fault"
	"github.com/1fb4ed1c/tandem/bench/internal/load"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// attempt is one fault on its way.
type attempt struct {
	rig     *rig
	cell    *Cell
	result  *Result
	spins   uint64
	chance  *rand.Rand
	clients *subject.Clients
	cfg     load.Config

	before  registry.Page
	primary *proc.Process
	f       Fault
	at      time.Time // of the fault
	after   registry.Page
	load    *load.Result
}

// once does one fault and measures it. void says why it says nothing; an error is one of the pair or of the machine.
func (a *attempt) once(ctx context.Context) (void string, err error) {
	if err := a.prepare(ctx); err != nil {
		return "", err
	}
	defer a.primary.Close()
	stop, loaded := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		a.load, err = load.Run(ctx, a.cfg, stop)
		loaded <- err
	}()
	struck, err := a.strike(ctx)
	if err == nil {
		err = a.await(ctx)
	}
	close(stop)
	select {
	case lerr := <-loaded:
		err = errors.Join(err, lerr)
	case <-time.After(restoredWithin):
		a.clients.Close()
		err = errors.Join(err, fmt.Errorf("%w within %v, in epoch %d", errNoReply, restoredWithin, a.after.Epoch), <-loaded)
	}
	if struck != nil {
		select {
		case serr := <-struck:
			err = errors.Join(err, serr)
		case <-time.After(restoredWithin):
			err = errors.Join(err, fmt.Errorf("the %s has not ended within %v", a.cell.Fault, restoredWithin))
		}
	}
	if errors.Is(err, proc.ErrGone) {
		return "the primary was gone before the fault: its backup had given it up", nil
	}
	if err != nil {
		return "", err
	}
	return a.judge(), nil
}

// errNoReply is the worst that a takeover could do to a client.
var errNoReply = errors.New("a request has no reply")

// prepare brings the pair to where the fault is to find it.
func (a *attempt) prepare(ctx context.Context) (err error) {
	if a.clients, err = a.rig.of(ctx, a.cell, a.spins); err != nil {
		return err
	}
	if a.before, err = a.rig.protected(ctx); err != nil {
		return err
	}
	if a.primary, err = subject.Member(a.before.Primary); err != nil {
		return err
	}
	if a.cell.Memory > 0 {
		if err = a.rig.faults.Grow(ctx, a.primary, a.cell.Memory); err != nil {
			return err
		}
	}
	if err = a.rig.faults.Prepare(a.cell.Fault, a.primary); err != nil {
		return err
	}
	a.f.Pumped = a.chance.IntN(a.cell.Snapshot)
	a.cfg = load.Config{Rate: a.result.Rate, Clients: a.clients.Load}
	return pump(a.clients.Load, a.f.Pumped)
}

// How long there is load before a fault: at least, and so many requests; at most twice as long.
const (
	runUp         = 25 * time.Millisecond
	runUpRequests = load.LeastBefore * 3 / 2
)

// strike does the fault after a while of load.
func (a *attempt) strike(ctx context.Context) (done <-chan error, err error) {
	after := max(runUp, a.cfg.Intended(runUpRequests))
	after += time.Duration(a.chance.Int64N(int64(after)))
	world.Pause(ctx, after)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	a.at, done = a.rig.faults.Strike(ctx, a.cell.Fault, a.primary)
	return done, nil
}

// await waits until the takeover is complete and the pair protected.
func (a *attempt) await(ctx context.Context) (err error) {
	a.after, err = a.rig.World.AwaitPage(ctx, a.rig.Name, pollEvery, restoredWithin, "protected again", func(p *registry.Page) bool {
		if !subject.Protected(p) || p.Epoch <= a.before.Epoch || p.Instance != a.before.Instance {
			return false
		}
		k := p.LastTakeover
		return a.cell.Fault == fault.Switch || k != nil && k.Epoch > a.before.Epoch && k.FencedUS > 0 && k.FirstReplyUS > 0 && k.RestoredUS > 0
	})
	return err
}

// judge finds out what clients saw, and whether that says anything.
func (a *attempt) judge() (void string) {
	fault := a.at.Sub(a.load.Began)
	now := time.Now()
	if moved := now.Sub(a.at) - now.Round(0).Sub(a.at.Round(0)); moved.Abs() > clockMoves {
		return fmt.Sprintf("the wall clock was set by %v", moved)
	}
	if changes := a.after.Epoch - a.before.Epoch; changes != 1 {
		return fmt.Sprintf("the pair has changed roles %d times", changes)
	}
	if k := a.after.LastTakeover; k != nil && k.Epoch == a.after.Epoch && k.At.Before(a.at.Add(-clockMoves)) {
		return fmt.Sprintf("the pair has changed roles before the fault (%s, %s)", k.Cause, k.Evidence)
	}
	if void = load.Void(a.load.Replies, fault, &a.cfg); void != "" {
		return void
	}
	if k := a.after.LastTakeover; k != nil && k.Epoch > a.before.Epoch {
		a.f.Phases = phasesOf(k, a.at.Round(0))
		a.f.Records, a.f.Cause, a.f.Told = k.Records, k.Cause, k.Evidence
	}
	serving := fault + time.Duration(a.f.Serving*1e3)
	o := load.FindOutage(a.load.Replies, fault, func(p *load.Reply) bool {
		if p.Who != 0 {
			return uint32(p.Who) > a.before.Epoch
		}
		return p.Done >= serving // this kind of client is not told who answers
	})
	if !o.Found {
		return "no reply after the change of roles"
	}
	a.take(&o, fault)
	return ""
}

// clockMoves is how much the wall clock, which the status page uses, may drift from the other during a fault.
const clockMoves = 100 * time.Microsecond

func (a *attempt) take(o *load.Outage, at time.Duration) {
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	gap := o.Gap
	if a.cell.Fault == fault.Switch { // the command is a process of its own to the pair: what clients see begins later
		gap = o.Silence
	}
	a.f.Gap, a.f.Seen, a.f.Worst, a.f.Replied = us(gap), us(o.Seen), us(o.Worst), us(o.Gap)
	a.f.Before, a.f.Errors, a.f.Late = o.Before, a.load.Errors, us(a.load.Late.At(99))
	for i := range a.load.Replies {
		switch p := &a.load.Replies[i]; {
		case p.Err != nil:
		case p.Done <= at:
			a.result.calm.Add(p.Wait())
		default:
			a.result.met.Add(p.Wait())
		}
	}
	a.result.Faults = append(a.result.Faults, a.f)
}
