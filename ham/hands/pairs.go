package hands

import (
	"reflect"
	"sync"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/internal/proc"
	"github.com/1fb4ed1c/tandem/internal/registry"
)

// pairs tells what the registry says of process pairs: soon after it has been published, and at once when a member dies.
type pairs struct {
	h      *Hands
	rounds *rounds

	mu  sync.Mutex
	all map[string]*pair
}

type pair struct {
	entity, name string
	told         core.Pair
	isTold       bool
	members      map[proc.ID]*watched
}

// readEvery is how often pages are read.
const readEvery = 200 * time.Millisecond

func newPairs(h *Hands) *pairs {
	p := &pairs{h: h, all: map[string]*pair{}}
	p.rounds = newRounds(h, p.round)
	return p
}

func (p *pairs) watch(entity, name string) {
	p.unwatch(entity)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[entity] = &pair{entity: entity, name: name, members: map[proc.ID]*watched{}}
	p.rounds.kick()
}

func (p *pairs) unwatch(entity string) {
	p.mu.Lock()
	x := p.all[entity]
	delete(p.all, entity)
	p.mu.Unlock()
	if x != nil {
		x.leave(nil)
	}
}

func (p *pairs) round(now time.Duration) (next time.Duration) {
	root := p.h.cfg.Pairs
	if root == "" {
		root, _ = registry.Root() // an error, and so no pair, stays one
	}
	p.mu.Lock()
	all := make([]*pair, 0, len(p.all))
	for _, x := range p.all {
		all = append(all, x)
	}
	p.mu.Unlock()
	for _, x := range all {
		facts, err := look(root, x.name)
		if err != nil {
			continue // not founded yet, or being written over by a newer HAM's
		}
		p.tell(x, facts)
	}
	if len(all) == 0 {
		return never
	}
	return now + readEvery
}

// tell posts what is known of a pair, if it is news, and watches its members.
func (p *pairs) tell(x *pair, facts core.Pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[x.entity] != x {
		return
	}
	x.follow(p, facts.Members)
	if x.isTold && reflect.DeepEqual(x.told, facts) {
		return
	}
	x.told, x.isTold = facts, true
	p.h.event(core.Event{Pair: &core.PairFacts{Entity: x.entity, Pair: facts}})
}

// follow has the page read again as soon as one of these members dies.
func (x *pair) follow(p *pairs, members []core.PairMember) {
	now := map[proc.ID]bool{}
	for _, m := range members {
		id := proc.ID{PID: m.PID, Start: m.Start}
		now[id] = true
		if x.members[id] == nil {
			if w, err := p.h.watcher.adopt(id, func(exit) { p.rounds.kick() }); err == nil {
				x.members[id] = w
			}
		}
	}
	x.leave(now)
}

// leave ends the watch of members other than these.
func (x *pair) leave(but map[proc.ID]bool) {
	for id, w := range x.members {
		if !but[id] {
			w.drop()
			delete(x.members, id)
		}
	}
}

// look returns what is known of a pair. Of one whose members are gone the page is read once more: that it was stopped on purpose is
// written by the last of them, just before its end.
func look(root, name string) (facts core.Pair, err error) {
	for range 2 {
		page, err := registry.Read(root, name)
		if err != nil {
			return facts, err
		}
		if facts = factsOf(page); !facts.Gone {
			break
		}
	}
	return facts, nil
}

// factsOf returns what a page says, and whether who is on it lives.
func factsOf(page registry.Page) core.Pair {
	f := core.Pair{Instance: page.Instance, Epoch: page.Epoch, Takeovers: page.Takeovers, Switches: page.Switches, Stopped: page.Stopped, Gone: true}
	add := func(m *registry.Member, role string) {
		if m == nil || !(proc.ID{PID: m.PID, Start: m.Start}).Alive() {
			return
		}
		f.Gone = false
		f.Members = append(f.Members, core.PairMember{PID: m.PID, Start: m.Start, Role: role, Synchronised: m.Synchronised})
	}
	add(page.Primary, "primary")
	if b := page.Backup; b != nil {
		role := "backup"
		if !b.Synchronised {
			role = "joining"
		}
		add(b, role)
	}
	return f
}

func (p *pairs) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.all {
		x.leave(nil)
	}
	clear(p.all)
}
