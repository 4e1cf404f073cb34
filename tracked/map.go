package tracked

import (
	"fmt"
	"iter"
	"reflect"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// A Map is a tracked map that iterates in the order in which its keys were inserted, on both members. Setting a key
// that is there leaves it in its place; deleting and setting it again moves it to the end.
//
// Entries live in slots, linked in their order, and an index finds the slot of a key. Nothing is ever moved or copied
// as the map grows or shrinks, so no call pays for the size of the map.
type Map[K comparable, V any] struct {
	header
	keys  codec.Codec[K]
	vals  codec.Codec[V]
	index map[K]slot
	slots slots[K, V]
	seq   uint64 // of the next entry
	undo  []mapUndo[V]
	sent  slot // the last one the walk has been at
	delta mapDelta[K]
	seen  *observer[K, V] // nil: nobody observes
}

var _ part = (*Map[int, int])(nil)

// NewMap registers a Map under a name that is unique in s. The keys must be such that a copy in another process equals
// the original, so they cannot hold pointers or interfaces.
func NewMap[K comparable, V any](s *Store, name string) *Map[K, V] {
	m := &Map[K, V]{keys: codec.For[K](), vals: codec.For[V]()}
	if err := checkKey(reflect.TypeFor[K]()); err != nil {
		panic(fmt.Sprintf("cannot track %q: %v", name, err))
	}
	s.register(&m.header, name, m, reflect.TypeFor[K](), reflect.TypeFor[V]())
	m.reset()
	return m
}

// Get returns the value of k, or the zero value.
func (m *Map[K, V]) Get(k K) V {
	v, _ := m.Lookup(k)
	return v
}

// Lookup returns the value of k and whether it is there.
func (m *Map[K, V]) Lookup(k K) (v V, found bool) {
	i, found := m.index[k]
	if !found {
		return v, false
	}
	return m.slots.at(i).val, true
}

// Len returns the number of entries.
func (m *Map[K, V]) Len() int { return len(m.index) }

// All iterates over the entries, oldest first. The map may be changed meanwhile: an entry deleted before it was reached
// is not seen, one added is, unless the iteration was already at a deleted end.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := m.slots.at(end).next; i != end; {
			e := m.slots.at(i)
			if e.seq != dead && !yield(e.key, e.val) {
				return
			}
			i = e.next // of a deleted entry too: it keeps its links until the call ends
		}
	}
}

// Set sets the value of k.
func (m *Map[K, V]) Set(k K, v V) {
	inCall := m.change()
	i, found := m.index[k]
	if !found && k != k {
		panic(fmt.Sprintf("cannot set a key of %s that does not equal itself: %v", m.name, k))
	}
	seq := m.seq
	if found {
		seq = m.slots.at(i).seq
	}
	if inCall && seq < m.frontier {
		out, err := m.appendSet(m.s.changes, k, v)
		if err != nil {
			m.unencodable(err)
		}
		m.s.changes = out
	}
	if !found {
		i = m.insert(k, v)
		m.log(inCall, mapUndo[V]{op: undoInsert, slot: i})
		return
	}
	m.log(inCall, mapUndo[V]{op: undoUpdate, slot: i, val: m.update(i, v)})
}

// Delete removes k and reports whether it was there.
func (m *Map[K, V]) Delete(k K) bool {
	inCall := m.change()
	i, found := m.index[k]
	if !found {
		return false
	}
	e := m.slots.at(i)
	if inCall && e.seq < m.frontier {
		out, err := m.appendDelete(m.s.changes, k)
		if err != nil {
			m.unencodable(err)
		}
		m.s.changes = out
	}
	u := mapUndo[V]{op: undoDelete, slot: i, seq: e.seq, val: e.val}
	m.remove(i)
	m.log(inCall, u)
	return true
}

// update gives an entry a new value and returns the one before.
func (m *Map[K, V]) update(i slot, v V) (old V) {
	e := m.slots.at(i)
	old, e.val = e.val, v
	if m.seen != nil {
		m.seen.changed(e.key, old, v, true, true)
	}
	return old
}

// insert adds an entry at the end.
func (m *Map[K, V]) insert(k K, v V) slot {
	i := m.slots.take()
	e := m.slots.at(i)
	e.key, e.val, e.seq = k, v, m.seq
	m.seq++
	e.prev = m.slots.at(end).prev
	m.slots.link(i)
	m.index[k] = i
	if m.seen != nil {
		m.seen.inserted(k, v)
	}
	return i
}

// remove takes an entry out. Its slot keeps everything else until it is freed.
func (m *Map[K, V]) remove(i slot) {
	e := m.slots.at(i)
	if m.sent == i {
		m.sent = e.prev
	}
	delete(m.index, e.key)
	m.slots.unlink(i)
	e.seq = dead
	if m.seen != nil {
		m.seen.deleted(e.key, e.val)
	}
}

// appendSet returns dst as it was on an error.
func (m *Map[K, V]) appendSet(dst []byte, k K, v V) ([]byte, error) {
	out, err := m.keys.Append(m.tag(dst, opSet), k)
	if err == nil {
		out, err = m.vals.Append(out, v)
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

func (m *Map[K, V]) appendDelete(dst []byte, k K) ([]byte, error) {
	out, err := m.keys.Append(m.tag(dst, opDelete), k)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// checkKey reports why a key of type t would not equal its copy at the other member.
func checkKey(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Chan, reflect.UnsafePointer:
		return fmt.Errorf("a key that holds a %v does not equal its copy", t.Kind())
	case reflect.Array:
		return checkKey(t.Elem())
	case reflect.Struct:
		if t.PkgPath() == "unique" { // made to be equal, as in netip.Addr
			return nil
		}
		for f := range t.Fields() {
			if err := checkKey(f.Type); err != nil {
				return err
			}
		}
	}
	return nil
}
