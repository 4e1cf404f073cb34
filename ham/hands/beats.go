package hands

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/ham/hands/beat"
	"github.com/1fb4ed1c/tandem/internal/proc"
)

// beats looks at heartbeat words. Those with like periods are looked at together, so that one entity with a short period does
// not have all others looked at as often.
//
// To tell of a beat costs more than to look. So what was seen is told, with its time, when it is needed: before a Tick, and at once
// if it is the first beat or follows a mark. The rest is told together, now and then.
type beats struct {
	h      *Hands
	rounds *rounds

	telling sync.Mutex // from a look until what it saw has been told, if it is to be

	mu     sync.Mutex
	untold []*beating    // that have moved
	told   time.Duration // when beats were told last
	all    map[string]*beating
	groups map[time.Duration]*beatGroup // by the time between two looks
	pages  map[proc.ID]*pages
}

// beating is one entity that promised heartbeats.
type beating struct {
	entity string
	id     proc.ID
	mark   time.Duration // see core.WatchBeats
	every  time.Duration
	word   *uint64       // nil: not found
	last   uint64        // what it was at the last look
	seen   time.Duration // when it moved last; 0: it has not
	untold bool

	lookFor time.Duration // when to look for the word
	pause   time.Duration // and how long after that again
}

type beatGroup struct {
	at  time.Duration // of the last look
	all []*beating
}

// pages are the mapped words of one process.
type pages struct {
	views []*beat.View
	users int
}

const (
	shortestLook = core.MinPeriod / 2
	// Pauses between two searches for a word: its program may come to it late, or beat by messages and have none.
	firstSearch = 20 * time.Millisecond
	lastSearch  = 10 * time.Second
	// tellEvery is how long a beat that nothing depends on is kept at most.
	tellEvery = time.Second
)

func newBeats(h *Hands) *beats {
	b := &beats{h: h, all: map[string]*beating{}, groups: map[time.Duration]*beatGroup{}, pages: map[proc.ID]*pages{}}
	b.rounds = newRounds(h, b.round)
	return b
}

// lookEvery is how often a word is looked at: at least twice in each period, and for like periods alike.
func lookEvery(period time.Duration) time.Duration {
	every := shortestLook
	for every <= period/4 {
		every *= 2
	}
	return every
}

// watch looks at the word of an entity from now on, in place of the one before.
func (b *beats) watch(w core.WatchBeats) {
	b.unwatch(w.Entity)
	x := &beating{entity: w.Entity, id: proc.ID{PID: w.PID, Start: w.Start}, mark: w.Mark, every: lookEvery(w.Period), pause: firstSearch}
	b.mu.Lock()
	b.all[w.Entity] = x
	g := b.groups[x.every]
	if g == nil {
		g = &beatGroup{}
		b.groups[x.every] = g
	}
	g.all = append(g.all, x)
	b.mu.Unlock()
	b.search(w.Entity)
	b.rounds.kick()
}

// unwatch ends it.
func (b *beats) unwatch(entity string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.all[entity]
	if x == nil {
		return
	}
	delete(b.all, entity)
	g := b.groups[x.every]
	for i := range g.all {
		if g.all[i] == x {
			g.all[i] = g.all[len(g.all)-1]
			g.all = g.all[:len(g.all)-1]
			break
		}
	}
	if len(g.all) == 0 {
		delete(b.groups, x.every)
	}
	if x.word != nil {
		b.leave(x.id)
	}
}

// search looks for the word of an entity. It is in the entity's lane.
func (b *beats) search(entity string) {
	b.mu.Lock()
	x := b.all[entity]
	if x == nil || x.word != nil {
		b.mu.Unlock()
		return
	}
	x.lookFor = monotonic() + x.pause
	x.pause = min(2*x.pause, lastSearch)
	x.word = b.known(x)
	found := x.word != nil
	b.mu.Unlock()
	if found {
		return
	}
	views, err := beat.Find(x.id.PID)
	if now, idErr := proc.Identify(x.id.PID); err != nil || idErr != nil || now != x.id {
		closeViews(views)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(x, views)
}

// known returns a word of a process whose pages are mapped already. b is locked.
func (b *beats) known(x *beating) *uint64 {
	p := b.pages[x.id]
	if p == nil {
		return nil
	}
	for _, v := range p.views {
		if w := v.Word(x.entity); w != nil {
			p.users++
			return w
		}
	}
	return nil
}

// take makes use of the pages of a process. b is locked.
func (b *beats) take(x *beating, views []*beat.View) {
	for _, v := range views {
		if x.word = v.Word(x.entity); x.word != nil {
			break
		}
	}
	if x.word == nil {
		closeViews(views)
		return
	}
	p := b.pages[x.id]
	if p == nil {
		p = &pages{}
		b.pages[x.id] = p
	}
	p.views = append(p.views, views...)
	p.users++
}

// leave unmaps the pages of a process that nobody looks at any more. b is locked.
func (b *beats) leave(id proc.ID) {
	p := b.pages[id]
	if p.users--; p.users == 0 {
		closeViews(p.views)
		delete(b.pages, id)
	}
}

func closeViews(views []*beat.View) {
	for _, v := range views {
		_ = v.Close()
	}
}

// round looks at the words that are due.
func (b *beats) round(now time.Duration) (next time.Duration) {
	return b.look(now, false, func(g *beatGroup, every time.Duration) bool { return now >= g.at+every })
}

// freshLook is the age up to which a look counts as one of this moment.
const freshLook = time.Millisecond

// lookNow looks at all words, whether they are due or not, and tells of all that have moved.
func (b *beats) lookNow() {
	now := monotonic()
	b.look(now, true, func(g *beatGroup, _ time.Duration) bool { return now >= g.at+freshLook })
}

// look looks at the words of some groups, and tells what it has seen if it must, or is to. It returns when the next one is due.
func (b *beats) look(now time.Duration, tell bool, which func(g *beatGroup, every time.Duration) bool) (next time.Duration) {
	b.telling.Lock() // so that whoever has looked has been told of what others saw
	defer b.telling.Unlock()
	next = never
	b.mu.Lock()
	for every, g := range b.groups {
		if which(g, every) {
			if g.look(now, b) {
				tell = true
			}
			g.at = now
		}
		next = min(next, g.at+every)
	}
	var news *core.Beats
	if tell || now >= b.told+tellEvery {
		news = b.news(now)
	}
	b.mu.Unlock()
	if news != nil {
		b.h.event(core.Event{Beats: news})
	}
	return next
}

// look takes note of the words that have moved, and reports whether one of them is to be told at once.
func (g *beatGroup) look(now time.Duration, b *beats) (urgent bool) {
	for _, x := range g.all {
		if x.word == nil {
			if x.lookFor <= now {
				x.lookFor = never // until the search has been
				b.h.lanes.do(x.entity, func() { b.search(x.entity) })
			}
			continue
		}
		count := atomic.LoadUint64(x.word)
		if count == x.last {
			continue
		}
		urgent = urgent || x.seen == 0 || x.mark > 0 && now-x.seen >= x.mark
		x.last, x.seen = count, now
		if !x.untold {
			x.untold = true
			b.untold = append(b.untold, x)
		}
	}
	return urgent
}

// news returns what has not been told yet, or nil. b is locked.
func (b *beats) news(now time.Duration) *core.Beats {
	b.told = now
	if len(b.untold) == 0 {
		return nil
	}
	news := &core.Beats{Entities: make([]string, 0, len(b.untold)), Seen: make([]time.Duration, 0, len(b.untold))}
	for _, x := range b.untold {
		x.untold = false
		if b.all[x.entity] == x {
			news.Entities, news.Seen = append(news.Entities, x.entity), append(news.Seen, x.seen)
		}
	}
	clear(b.untold)
	b.untold = b.untold[:0]
	return news
}

// close unmaps everything.
func (b *beats) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pages {
		closeViews(p.views)
	}
	clear(b.pages)
	clear(b.all)
	clear(b.groups)
	b.untold = nil
}
