package tracked

import "errors"

type undoOp uint8

const (
	undoInsert undoOp = iota
	undoUpdate
	undoDelete
)

// mapUndo is what undoes one change of a call.
type mapUndo[V any] struct {
	op   undoOp
	slot slot
	seq  uint64 // of a deleted entry
	val  V      // before
}

// log remembers how to undo a change. One made without a call is final at once, except that a deleted entry stays for
// those who are iterating, until Freeze.
func (m *Map[K, V]) log(inCall bool, u mapUndo[V]) {
	if inCall || u.op == undoDelete {
		m.undo = append(m.undo, u)
	} else {
		m.settle(&u)
	}
}

// settle makes a change final.
func (m *Map[K, V]) settle(u *mapUndo[V]) {
	if m.s.tracking {
		m.note(u.op, u.slot, u.seq)
	}
	if u.op == undoDelete {
		m.slots.put(u.slot)
	}
}

func (m *Map[K, V]) commit() {
	for i := range m.undo {
		m.settle(&m.undo[i])
	}
	m.forget()
}

func (m *Map[K, V]) rollback() {
	for i := len(m.undo) - 1; i >= 0; i-- {
		u := &m.undo[i]
		e := m.slots.at(u.slot)
		switch u.op {
		case undoInsert:
			m.remove(u.slot)
			m.slots.put(u.slot)
		case undoUpdate:
			m.update(u.slot, u.val)
		case undoDelete:
			// If the walk ended here it now sends this entry again, which changes nothing.
			e.val, e.seq = u.val, u.seq
			m.slots.link(u.slot)
			m.index[e.key] = u.slot
			if m.seen != nil {
				m.seen.inserted(e.key, e.val)
			}
		}
	}
	m.forget()
}

func (m *Map[K, V]) forget() {
	clear(m.undo) // old values must not stay alive
	m.undo = m.undo[:0]
	if cap(m.undo) > keep {
		m.undo = nil
	}
}

func (m *Map[K, V]) kind() kind { return kindMap }

func (m *Map[K, V]) reset() {
	m.index = make(map[K]slot)
	m.slots.clear()
	m.seq = dead + 1
	m.forget()
	if m.seen != nil {
		m.seen.emptied()
	}
}

var (
	errNoKey   = errors.New("the key to delete is not there")
	errUnequal = errors.New("the key does not equal itself")
)

func (m *Map[K, V]) apply(o op, b []byte) ([]byte, error) {
	k, rest, err := m.keys.View(b) // most keys are there already and need no copy
	if err != nil {
		return nil, err
	}
	i, found := m.index[k]
	switch o {
	case opSet:
		v, rest, err := m.vals.Decode(rest)
		if err != nil {
			return nil, err
		}
		u := mapUndo[V]{op: undoUpdate, slot: i}
		if found {
			m.update(i, v)
		} else if k == k {
			u.op, u.slot = undoInsert, m.insert(m.keys.Own(k), v)
		} else {
			return nil, errUnequal
		}
		m.settle(&u)
		return rest, nil
	case opDelete:
		if !found {
			return nil, errNoKey
		}
		u := mapUndo[V]{op: undoDelete, slot: i, seq: m.slots.at(i).seq}
		m.remove(i)
		m.settle(&u)
		return rest, nil
	}
	return nil, wrongOp(o, kindMap)
}

func (m *Map[K, V]) startWalk() { m.sent = end }

func (m *Map[K, V]) appendChunk(dst []byte, base, limit int) ([]byte, bool, error) {
	for i := m.slots.at(m.sent).next; i != end; {
		e := m.slots.at(i)
		out, err := m.appendSet(dst, e.key, e.val)
		if err != nil {
			return dst, false, err
		}
		if len(out) > limit && len(dst) > base {
			return dst, false, nil
		}
		dst, m.sent, m.frontier = out, i, e.seq+1
		i = e.next
	}
	return dst, true, nil
}

func (m *Map[K, V]) digest(d *digest) {
	for k, v := range m.All() {
		addTo(d, m.keys, k)
		addTo(d, m.vals, v)
	}
}
