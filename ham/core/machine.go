package core

import (
	"slices"
	"time"
)

// Machine is HAM's state machine. All that must survive is in its Store; the rest it works out from there.
type Machine struct {
	store Store
	ready bool // the fields below have been worked out
	tx    changes
	now   Event // the event that is being handled
	out   []Effect

	lanes      map[Lane]*queue
	stirred    []Lane // those that may have something to do
	flight     map[uint64]flight
	timers     timers
	beats      map[string]beat
	dependents map[string][]string // by dependency, in the order in which they were declared
	unstopped  bool                // of StopAll: there may be some who have not been told
	woken      time.Duration       // the time last asked for by WakeAt; < 0: none
	late       time.Duration       // of the present event: how long after that time it came, if that is worth counting
	credit     time.Duration       // how long in all this process did not run when it had asked to
}

// flight tells whose an effect under way is.
type flight struct {
	job    uint64
	entity string
}

// New returns a machine over what is in the store. It reads the store at its first Step, not before.
func New(s Store) *Machine { return &Machine{store: s, woken: -1} }

// Step advances the machine by one event and returns what is to be done, in this order. The effects must not be carried
// out before the changes to the Store are safe. Event.At must not go back.
func (m *Machine) Step(ev Event) []Effect {
	m.begin(ev)
	late := m.lateness()
	m.handle(&ev)
	if late > 0 {
		m.note(Happening{What: HasBeenLate, Text: late.String()})
	}
	m.elapse()
	m.stopSome()
	m.work()
	m.commit()
	return m.out
}

func (m *Machine) handle(ev *Event) {
	switch {
	case ev.Request != nil:
		m.request(ev.Request)
	case ev.Beats != nil:
		m.seen(ev.Beats)
	case ev.Exited != nil:
		m.exited(ev.Exited)
	case ev.Spawned != nil:
		m.spawned(ev.Spawned)
	case ev.Done != nil:
		m.done(ev.Done)
	case ev.Notified != nil:
		m.notified(ev.Notified)
	case ev.Sampled != nil:
		m.sampled(ev.Sampled)
	case ev.Pair != nil:
		m.pairFacts(ev.Pair)
	case ev.Self != nil:
		m.selfFacts(ev.Self)
	case ev.Disconnected != nil:
		m.disconnected(ev.Disconnected.Client)
	case ev.Resumed != nil:
		m.resume(ev.Resumed)
	}
}

// begin prepares for an event.
func (m *Machine) begin(ev Event) {
	m.now, m.out = ev, nil
	m.tx.begin(m.store.Root())
	if !m.ready {
		m.derive()
	}
}

// commit hands the changed records to the store and asks for the next tick.
func (m *Machine) commit() {
	for _, name := range m.tx.names {
		m.reindex(name, m.store.Entity(name), m.tx.entities[name])
		if e := m.tx.entities[name]; e != nil {
			m.store.PutEntity(e)
			m.timers.arm(timerKey{entity: name}, m.nextTime(e))
		} else {
			m.store.DeleteEntity(name)
			delete(m.beats, name)
		}
	}
	for _, id := range m.tx.ids {
		if j := m.tx.jobs[id]; j != nil {
			m.store.PutJob(j)
			m.timers.arm(timerKey{job: id}, j.nextTime())
		} else {
			m.store.DeleteJob(id)
		}
	}
	for _, h := range m.tx.history {
		m.store.Remember(h)
	}
	if m.tx.root != *m.store.Root() {
		root := m.tx.root
		m.store.SetRoot(&root)
	}
	m.refresh()
	m.wake()
}

// soonest is how long after an event a tick is asked for at least: so what should be due at every time does not keep HAM busy.
const soonest = time.Millisecond

// wake asks for the next tick, unless it has been asked for. A tick uses up what was asked for, also one that came too early.
func (m *Machine) wake() {
	at := m.timers.first()
	if at >= 0 && at <= m.now.At || m.unstopped {
		at = m.now.At + soonest
	}
	if at != m.woken || at >= 0 && m.now.Tick != nil {
		m.woken = at
		m.emit(WakeAt{At: at})
	}
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

// next returns a number that was never given out before.
func (m *Machine) next() uint64 {
	m.tx.root.Seq++
	return m.tx.root.Seq
}

// note adds to the history, also to that of the entity, if it is there.
func (m *Machine) note(h Happening) (seq uint64) {
	h.Seq, h.At, h.Wall = m.next(), m.now.At, m.now.Wall
	m.tx.history = append(m.tx.history, &h)
	m.emit(Happened{h})
	if e := m.edit(h.Entity); e != nil {
		old := e.History[max(0, len(e.History)+1-EntityHistory):]
		e.History = append(append(make([]Happening, 0, len(old)+1), old...), h)
	}
	return h.Seq
}

// look returns the present record of an entity, which must not be changed, or nil.
func (m *Machine) look(name string) *Entity {
	if e, ok := m.tx.entities[name]; ok {
		return e
	}
	if e := m.store.Entity(name); e != nil || name != Global {
		return e
	}
	return &Entity{Name: Global, Kind: GlobalEntity, Owner: Owner{Admin: true}} // always there, and a record once it was changed
}

// edit returns the record of an entity to be changed within this step, or nil.
func (m *Machine) edit(name string) *Entity {
	if e, ok := m.tx.entities[name]; ok {
		return e
	}
	if name == "" {
		return nil
	}
	e := m.look(name)
	if e == nil {
		return nil
	}
	c := *e
	c.Conditions = slices.Clone(e.Conditions)
	for i := range c.Conditions {
		c.Conditions[i].Actions = slices.Clone(c.Conditions[i].Actions)
	}
	m.tx.put(name, &c)
	return &c
}

// job returns the record of a job to be changed within this step, or nil.
func (m *Machine) job(id uint64) *Job {
	if j, ok := m.tx.jobs[id]; ok {
		return j
	}
	j := m.store.Job(id)
	if j == nil {
		return nil
	}
	c := *j
	m.tx.putJob(id, &c)
	return &c
}

// changes are the records that a step has touched so far.
type changes struct {
	root     Root
	entities map[string]*Entity // nil: deleted
	names    []string           // keys of entities, in the order in which they were touched
	jobs     map[uint64]*Job    // nil: deleted
	ids      []uint64
	history  []*Happening
}

// begin forgets everything.
func (c *changes) begin(root *Root) {
	if c.entities == nil {
		c.entities, c.jobs = map[string]*Entity{}, map[uint64]*Job{}
	}
	clear(c.entities)
	clear(c.jobs)
	c.root, c.names, c.ids, c.history = *root, c.names[:0], c.ids[:0], c.history[:0]
}

func (c *changes) put(name string, e *Entity) {
	if _, ok := c.entities[name]; !ok {
		c.names = append(c.names, name)
	}
	c.entities[name] = e
}

func (c *changes) putJob(id uint64, j *Job) {
	if _, ok := c.jobs[id]; !ok {
		c.ids = append(c.ids, id)
	}
	c.jobs[id] = j
}
