package takeover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/bench/internal/fault"
	"github.com/1fb4ed1c/tandem/bench/internal/load"
	"github.com/1fb4ed1c/tandem/bench/internal/subject"
	"github.com/1fb4ed1c/tandem/bench/internal/world"
	"github.com/1fb4ed1c/tandem/internal/registry"
	"github.com/1fb4ed1c/tandem/pair"
)

// rigKey is what cells that can share a pair have in common.
type rigKey struct {
	mode            string
	snapshot, state int
	hangAfter       time.Duration
}

func (c *Cell) key() rigKey { return rigKey{c.Mode, c.Snapshot, c.State, c.HangAfter} }

// rig is a running pair, what does faults to it, and the clients of the cells that use it.
type rig struct {
	*subject.Pair
	faults  *fault.Injector
	clients map[dialed]*subject.Clients
	release func() bool
}

// dialed is which clients they are.
type dialed struct {
	kind  subject.Connection
	n     int
	spins uint64
}

// startRig starts a pair. number tells it from others of the same key: the name of a pair that has failed is not used again.
func startRig(ctx context.Context, w *world.World, k rigKey, number int) (r *rig, err error) {
	mode, err := pair.ParseMode(k.mode)
	if err != nil {
		return nil, err
	}
	cfg := subject.Config{Mode: mode, SnapshotEvery: k.snapshot, HangAfter: k.hangAfter, Listen: true}
	r = &rig{clients: map[dialed]*subject.Clients{}}
	if r.Pair, err = subject.Start(ctx, w, fmt.Sprintf("%s-%d-%d-%d", k.mode, k.snapshot, k.state, number), cfg); err != nil {
		return nil, err
	}
	r.release = context.AfterFunc(ctx, func() { _ = r.Conn.Close() })
	if r.faults, err = fault.New(ctx, r.Pair); err == nil {
		err = r.Load(ctx, k.state)
	}
	if err != nil {
		return nil, errors.Join(err, r.close(ctx))
	}
	return r, nil
}

// close ends the pair, whatever state it is in.
func (r *rig) close(ctx context.Context) error {
	r.release()
	for _, cs := range r.clients {
		cs.Close()
	}
	err := r.Stop(context.WithoutCancel(ctx))
	if r.faults != nil {
		err = errors.Join(err, r.faults.Close())
	}
	return err
}

// of returns the clients of a cell, connected.
func (r *rig) of(ctx context.Context, c *Cell, spins uint64) (*subject.Clients, error) {
	k := dialed{c.Connection, c.Clients, spins}
	if cs := r.clients[k]; cs != nil {
		return cs, nil
	}
	cs, err := r.Clients(ctx, k.kind, k.n, k.spins)
	if err == nil {
		r.clients[k] = cs
	}
	return cs, err
}

// protected waits until the pair is protected, and known to be. A page that is behind is published again when there are requests.
func (r *rig) protected(ctx context.Context) (page registry.Page, err error) {
	return r.World.AwaitPage(ctx, r.Name, pollEvery, restoredWithin, "protected", func(p *registry.Page) bool {
		_, err := r.Put()
		return err == nil && subject.Protected(p) && p.Epoch == r.Conn.Epoch()
	})
}

const (
	pollEvery      = 2 * time.Millisecond // between two looks at the status page
	restoredWithin = 10 * time.Second     // a pair that is not protected again by then has failed
)

// pump makes so many requests as fast as it can: a backlog, for a backup that computes lazily.
func pump(clients []load.Client, n int) error {
	var wg sync.WaitGroup
	errs := make([]error, min(len(clients), pumps))
	for i := range errs {
		wg.Go(func() {
			for k := i; k < n && errs[i] == nil; k += len(errs) {
				_, errs[i] = clients[i].Do(k)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// pumps is how many clients make a backlog.
const pumps = 16

// rigs are the pairs of a run. They are started when they are needed, and ended when no later block needs them.
type rigs struct {
	world  *world.World
	all    map[rigKey]*rig
	number int
}

func (rs *rigs) of(ctx context.Context, k rigKey) (*rig, error) {
	if r := rs.all[k]; r != nil {
		return r, nil
	}
	rs.number++
	r, err := startRig(ctx, rs.world, k, rs.number)
	if err != nil {
		return nil, err
	}
	rs.all[k] = r
	return r, nil
}

// drop ends a pair; what it has to say then is no news.
func (rs *rigs) drop(ctx context.Context, k rigKey) {
	if r := rs.all[k]; r != nil {
		delete(rs.all, k)
		_ = r.close(ctx)
	}
}

// keep ends every pair that none of these blocks needs.
func (rs *rigs) keep(ctx context.Context, blocks []Block) {
	for k := range rs.all {
		if !slices.ContainsFunc(blocks, func(b Block) bool {
			return slices.ContainsFunc(b.Cells, func(c Cell) bool { return c.key() == k })
		}) {
			rs.drop(ctx, k)
		}
	}
}

// chance is what is random about one fault: it follows from the seed, the cell and the round alone.
func chance(seed uint64, block string, cell, round int) *rand.Rand {
	h := seed
	for _, b := range []byte(block) {
		h = h*1099511628211 + uint64(b)
	}
	return rand.New(rand.NewPCG(h, uint64(cell)<<32|uint64(round)))
}
