package tracked

// mapDelta is what a Map remembers for the next delta. Entries with a sequence number from base on are new since the
// last one; they are the tail of the order and need no list.
type mapDelta[K comparable] struct {
	base    uint64
	fresh   int     // how many entries are new
	gone    []K     // old entries that were deleted
	updated slotSet // old entries with a new value
}

// note records a change that has become final. The entry of a deleted key still holds the key, and seq is what its
// sequence number was.
func (m *Map[K, V]) note(op undoOp, i slot, seq uint64) {
	d, e := &m.delta, m.slots.at(i)
	switch {
	case op == undoInsert:
		d.fresh++
	case op == undoUpdate && e.seq != dead && e.seq < d.base:
		d.updated.add(i)
	case op == undoDelete && seq < d.base:
		d.updated.remove(i)
		d.gone = append(d.gone, e.key)
	case op == undoDelete:
		d.fresh--
	}
}

func (m *Map[K, V]) rebase() {
	m.delta.base, m.delta.fresh = m.seq, 0
	clear(m.delta.gone) // keys must not stay alive
	m.delta.gone = m.delta.gone[:0]
	m.delta.updated.clear()
}

func (m *Map[K, V]) dirty() int {
	return m.delta.fresh + len(m.delta.gone) + m.delta.updated.n
}

// appendDelta writes deletions first, so that a key that came back is then appended at the end, where it now is.
func (m *Map[K, V]) appendDelta(dst []byte) (_ []byte, err error) {
	d := &m.delta
	for _, k := range d.gone {
		if dst, err = m.appendDelete(dst, k); err != nil {
			return dst, err
		}
	}
	for i := range d.updated.all() {
		e := m.slots.at(i)
		if dst, err = m.appendSet(dst, e.key, e.val); err != nil {
			return dst, err
		}
	}
	i := end
	for range d.fresh {
		i = m.slots.at(i).prev
	}
	for ; i != end; i = m.slots.at(i).next {
		e := m.slots.at(i)
		if dst, err = m.appendSet(dst, e.key, e.val); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// A slotSet is a set of slots that costs memory and time only for what is in it, apart from one bit for each slot.
type slotSet struct {
	bits []uint64
	list []slot // in order of arrival, with those that have been removed
	n    int
}

func (s *slotSet) has(i slot) bool {
	return int(i/64) < len(s.bits) && s.bits[i/64]&(1<<(i%64)) != 0
}

func (s *slotSet) add(i slot) {
	if s.has(i) {
		return
	}
	if short := int(i/64) + 1 - len(s.bits); short > 0 {
		s.bits = append(s.bits, make([]uint64, short)...)
	}
	s.bits[i/64] |= 1 << (i % 64)
	s.list = append(s.list, i)
	s.n++
}

func (s *slotSet) remove(i slot) {
	if s.has(i) {
		s.bits[i/64] &^= 1 << (i % 64)
		s.n--
	}
}

func (s *slotSet) clear() {
	for _, i := range s.list {
		s.bits[i/64] &^= 1 << (i % 64)
	}
	s.list, s.n = s.list[:0], 0
}

// all yields the members. A slot that was removed is never added again before clear, so none comes twice.
func (s *slotSet) all() func(yield func(slot) bool) {
	return func(yield func(slot) bool) {
		for _, i := range s.list {
			if s.has(i) && !yield(i) {
				return
			}
		}
	}
}
