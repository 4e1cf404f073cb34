package core

import (
	"cmp"
	"container/heap"
	"time"
)

// timerKey names who waits for a time: an entity or a job.
type timerKey struct {
	entity string
	job    uint64
}

// timers tells who is next. Each key has one valid entry at most; a time that has become later is not moved: whoever is called
// too early is armed again. So a heartbeat costs nothing here.
type timers struct {
	heap  timerHeap
	armed map[timerKey]time.Duration
}

// arm asks for k to be called at a time; at <= 0: not at all.
func (t *timers) arm(k timerKey, at time.Duration) {
	if was, ok := t.armed[k]; at <= 0 || ok && was <= at {
		return // called too early, or for nothing: see due
	}
	if t.armed == nil {
		t.armed = map[timerKey]time.Duration{}
	}
	t.armed[k] = at
	heap.Push(&t.heap, timer{at, k})
}

// disarm takes a key out.
func (t *timers) disarm(k timerKey) { delete(t.armed, k) }

// due takes out the first key whose time has come.
func (t *timers) due(now time.Duration) (timerKey, bool) {
	for len(t.heap) > 0 && (t.heap[0].at <= now || !t.valid(t.heap[0])) {
		next := heap.Pop(&t.heap).(timer)
		if t.valid(next) {
			delete(t.armed, next.key)
			return next.key, true
		}
	}
	return timerKey{}, false
}

// first returns the first time that somebody waits for, or -1.
func (t *timers) first() time.Duration {
	for len(t.heap) > 0 && !t.valid(t.heap[0]) {
		heap.Pop(&t.heap)
	}
	if len(t.heap) == 0 {
		return -1
	}
	return t.heap[0].at
}

func (t *timers) valid(x timer) bool {
	at, ok := t.armed[x.key]
	return ok && at == x.at
}

type timer struct {
	at  time.Duration
	key timerKey
}

type timerHeap []timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.key.entity, b.key.entity), cmp.Compare(a.key.job, b.key.job)) < 0
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)   { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// elapseAtOnce bounds the records that are changed in one step because their time has come. The others' is soon. Whoever is called too early,
// as all are that beat, changes none.
const elapseAtOnce = 256

// elapse calls everybody whose time has come. In one step nobody is called twice: what is due at once is done at once.
func (m *Machine) elapse() {
	var early []timerKey
	for len(m.tx.names)+len(m.tx.ids) < elapseAtOnce {
		k, ok := m.timers.due(m.now.At)
		if !ok {
			break
		}
		if k.job != 0 {
			m.waited(k.job)
			continue
		}
		if e := m.look(k.entity); e != nil {
			m.timeHasCome(k.entity)
			early = append(early, k)
		}
	}
	for _, k := range early {
		if e := m.look(k.entity); e != nil {
			m.timers.arm(k, m.nextTime(e))
		}
	}
}

// refreshAhead is how far refresh looks.
const refreshAhead = 250 * time.Millisecond

// refresh moves the times that have become later, as far as they are soon: so thousands that beat do not cause a tick each, which finds that
// it came too early.
func (m *Machine) refresh() {
	for {
		at := m.timers.first()
		if at < 0 || at > m.now.At+refreshAhead {
			return
		}
		k := m.timers.heap[0].key
		e := m.look(k.entity)
		if k.job != 0 || e == nil {
			return
		}
		next := m.nextTime(e)
		if next != 0 && next <= at {
			return
		}
		m.timers.disarm(k)
		m.timers.arm(k, next)
	}
}

// nextTime returns the first time at which the entity has something to do, or 0. It may have passed, while there was no HAM.
func (m *Machine) nextTime(e *Entity) time.Duration {
	p := &e.Process
	next := time.Duration(0)
	consider := func(at time.Duration) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	if p.Phase == Delayed {
		consider(p.Due)
	}
	consider(p.ReadyBy)
	consider(p.ProbeAt)
	consider(p.LostAt)
	consider(p.EndedAt)
	if at, ok := m.deadline(e); ok {
		consider(at)
	}
	return next
}

// timeHasCome does what is due for an entity.
func (m *Machine) timeHasCome(name string) {
	due := func(at func(p *Process) time.Duration) *Entity {
		if e := m.look(name); e != nil && at(&e.Process) != 0 && at(&e.Process) <= m.now.At {
			return m.edit(name)
		}
		return nil
	}
	if e := due(func(p *Process) time.Duration { return p.LostAt }); e != nil {
		m.lost(e)
	}
	if e := due(func(p *Process) time.Duration { return p.EndedAt }); e != nil {
		m.exit(e, Exit{})
	}
	if e := due(func(p *Process) time.Duration { return p.ReadyBy }); e != nil {
		m.tooLate(e)
	}
	if e := due(func(p *Process) time.Duration { return p.ProbeAt }); e != nil {
		m.probe(e)
	}
	if e := due(func(p *Process) time.Duration { return p.Due }); e != nil && e.Process.Phase == Delayed {
		m.advance(e)
	}
	m.missed(name)
}
