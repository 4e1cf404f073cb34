package core

import (
	"iter"
	"slices"
)

// Store holds the records. What it returns must not be changed, and what it is given belongs to it. Entities and Jobs come in
// the order in which they were first put, in every store that has seen the same calls.
//
// A machine calls Put, Delete, SetRoot and Remember only within Step, once for each record that the event changed.
type Store interface {
	Root() *Root // never nil
	SetRoot(*Root)

	Entity(name string) *Entity // nil: there is none
	PutEntity(*Entity)
	DeleteEntity(name string)
	Entities() iter.Seq[*Entity]

	Job(id uint64) *Job // nil: there is none
	PutJob(*Job)
	DeleteJob(id uint64)
	Jobs() iter.Seq[*Job]

	Remember(*Happening) // adds to the history, which holds the last GlobalHistory entries at least
}

// How many happenings are kept.
const (
	EntityHistory = 16   // with each entity
	GlobalHistory = 1024 // with HAM
)

// Memory is a Store in plain memory, for tests and for trying a configuration out. The zero value is empty.
type Memory struct {
	root     Root
	entities ordered[string, *Entity]
	jobs     ordered[uint64, *Job]
	history  []*Happening
}

var _ Store = (*Memory)(nil)

// Root implements Store.
func (s *Memory) Root() *Root { return &s.root }

// SetRoot implements Store.
func (s *Memory) SetRoot(r *Root) { s.root = *r }

// Entity implements Store.
func (s *Memory) Entity(name string) *Entity { return s.entities.values[name] }

// PutEntity implements Store.
func (s *Memory) PutEntity(e *Entity) { s.entities.put(e.Name, e) }

// DeleteEntity implements Store.
func (s *Memory) DeleteEntity(name string) { s.entities.delete(name) }

// Entities implements Store.
func (s *Memory) Entities() iter.Seq[*Entity] { return s.entities.all }

// Job implements Store.
func (s *Memory) Job(id uint64) *Job { return s.jobs.values[id] }

// PutJob implements Store.
func (s *Memory) PutJob(j *Job) { s.jobs.put(j.ID, j) }

// DeleteJob implements Store.
func (s *Memory) DeleteJob(id uint64) { s.jobs.delete(id) }

// Jobs implements Store.
func (s *Memory) Jobs() iter.Seq[*Job] { return s.jobs.all }

// Remember implements Store.
func (s *Memory) Remember(h *Happening) {
	s.history = append(s.history, h)
	if len(s.history) > 2*GlobalHistory {
		s.history = slices.Clone(s.history[GlobalHistory:])
	}
}

// History returns the last happenings, oldest first.
func (s *Memory) History() []*Happening { return s.history }

// ordered is a map that iterates in the order of insertion.
type ordered[K comparable, V any] struct {
	keys   []K
	values map[K]V
}

func (o *ordered[K, V]) put(k K, v V) {
	if o.values == nil {
		o.values = map[K]V{}
	}
	if _, ok := o.values[k]; !ok {
		o.keys = append(o.keys, k)
	}
	o.values[k] = v
}

func (o *ordered[K, V]) delete(k K) {
	if _, ok := o.values[k]; ok {
		delete(o.values, k)
		o.keys = slices.DeleteFunc(o.keys, func(other K) bool { return other == k })
	}
}

func (o *ordered[K, V]) all(yield func(V) bool) {
	for _, k := range slices.Clone(o.keys) {
		if v, ok := o.values[k]; ok && !yield(v) {
			return
		}
	}
}
