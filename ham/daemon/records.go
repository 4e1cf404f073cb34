package daemon

import (
	"iter"

	"github.com/1fb4ed1c/tandem/ham/core"
	"github.com/1fb4ed1c/tandem/pair"
	"github.com/1fb4ed1c/tandem/tracked"
)

// records keep what the machine keeps in the tracked state of the pair, and note what a step has changed for the journal.
type records struct {
	root     *tracked.Value[core.Root]
	entities *tracked.Map[string, *core.Entity]
	jobs     *tracked.Map[uint64, *core.Job]
	history  *tracked.Queue[*core.Happening]
	now      core.Root       // root's value, for Root to point at
	last     *core.Happening // that was remembered in this process
	changed  batch
}

var _ core.Store = (*records)(nil)

func newRecords(s *pair.Service) *records {
	return &records{root: pair.Value(s, "root", core.Root{}), entities: pair.Map[string, *core.Entity](s, "entities"),
		jobs: pair.Map[uint64, *core.Job](s, "jobs"), history: pair.Queue[*core.Happening](s, "history")}
}

// batch is what one step has changed, as the journal has it.
type batch struct {
	Root     *core.Root        `json:"root,omitempty"`
	Entities []*core.Entity    `json:"entities,omitempty"`
	Gone     []string          `json:"gone,omitempty"` // entities
	Jobs     []*core.Job       `json:"jobs,omitempty"`
	Over     []uint64          `json:"over,omitempty"` // jobs
	History  []*core.Happening `json:"history,omitempty"`
}

func (b *batch) empty() bool {
	return b.Root == nil && len(b.Entities)+len(b.Gone)+len(b.Jobs)+len(b.Over)+len(b.History) == 0
}

// take returns what has changed since it was called last.
func (r *records) take() batch {
	b := r.changed
	r.changed = batch{}
	return b
}

// all returns every record there is.
func (r *records) all() batch {
	root := r.root.Get()
	b := batch{Root: &root}
	for _, e := range r.entities.All() {
		b.Entities = append(b.Entities, e)
	}
	for _, j := range r.jobs.All() {
		b.Jobs = append(b.Jobs, j)
	}
	for h := range r.history.All() {
		b.History = append(b.History, h)
	}
	return b
}

// restore does what a batch says, within a call.
func (r *records) restore(b *batch) {
	if b.Root != nil {
		r.SetRoot(b.Root)
	}
	for _, e := range b.Entities {
		r.PutEntity(e)
	}
	for _, name := range b.Gone {
		r.DeleteEntity(name)
	}
	for _, j := range b.Jobs {
		r.PutJob(j)
	}
	for _, id := range b.Over {
		r.DeleteJob(id)
	}
	for _, h := range b.History {
		if h.Seq > r.lastSeq() { // a frame may tell what the beginning of the file has told
			r.Remember(h)
		}
	}
}

// lastSeq returns the number of the last happening.
func (r *records) lastSeq() (seq uint64) {
	if h := r.last; h != nil {
		return h.Seq
	}
	for h := range r.history.All() {
		seq = h.Seq
	}
	return seq
}

// Root implements core.Store.
func (r *records) Root() *core.Root {
	if now := r.root.Get(); now != r.now {
		r.now = now
	}
	return &r.now
}

// SetRoot implements core.Store.
func (r *records) SetRoot(root *core.Root) {
	r.root.Set(*root)
	r.changed.Root = root
}

// Entity implements core.Store.
func (r *records) Entity(name string) *core.Entity { return r.entities.Get(name) }

// PutEntity implements core.Store.
func (r *records) PutEntity(e *core.Entity) {
	r.entities.Set(e.Name, e)
	r.changed.Entities = append(r.changed.Entities, e)
}

// DeleteEntity implements core.Store.
func (r *records) DeleteEntity(name string) {
	r.entities.Delete(name)
	r.changed.Gone = append(r.changed.Gone, name)
}

// Entities implements core.Store.
func (r *records) Entities() iter.Seq[*core.Entity] { return values(r.entities) }

// Job implements core.Store.
func (r *records) Job(id uint64) *core.Job { return r.jobs.Get(id) }

// PutJob implements core.Store.
func (r *records) PutJob(j *core.Job) {
	r.jobs.Set(j.ID, j)
	r.changed.Jobs = append(r.changed.Jobs, j)
}

// DeleteJob implements core.Store.
func (r *records) DeleteJob(id uint64) {
	r.jobs.Delete(id)
	r.changed.Over = append(r.changed.Over, id)
}

// Jobs implements core.Store.
func (r *records) Jobs() iter.Seq[*core.Job] { return values(r.jobs) }

// Remember implements core.Store.
func (r *records) Remember(h *core.Happening) {
	r.history.Push(h)
	r.last = h
	for r.history.Len() > core.GlobalHistory {
		r.history.Pop()
	}
	r.changed.History = append(r.changed.History, h)
}

func values[K comparable, V any](m *tracked.Map[K, V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range m.All() {
			if !yield(v) {
				return
			}
		}
	}
}
