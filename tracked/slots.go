package tracked

// A slot is the place of an entry in a Map.
type slot uint32

// end is the slot before the first entry and behind the last; it holds none.
const end slot = 0

// dead is the sequence number of an entry that has been deleted.
const dead = 0

// An entry is one key and value, linked in order of seq. The links of a deleted entry still point at its neighbours of
// then, so that undoing, last change first, needs nothing else to put it back exactly (Knuth, "Dancing Links", 2000).
type entry[K comparable, V any] struct {
	key        K
	val        V
	seq        uint64 // rises with every insertion
	next, prev slot
}

const (
	pageBits = 8
	pageSize = 1 << pageBits
)

// slots is room for entries that grows by pages, so that an entry never moves.
type slots[K comparable, V any] struct {
	pages []*[pageSize]entry[K, V]
	used  slot // below are those that have been taken at least once
	free  slot // the first of a list, linked by next, of those taken and freed; end: none
}

func (s *slots[K, V]) at(i slot) *entry[K, V] {
	return &s.pages[i>>pageBits][i%pageSize]
}

// clear drops all entries.
func (s *slots[K, V]) clear() {
	*s = slots[K, V]{}
	s.take() // end, which links to itself
}

// take returns a slot that is not in use.
func (s *slots[K, V]) take() slot {
	if i := s.free; i != end {
		s.free = s.at(i).next
		return i
	}
	i := s.used
	if i%pageSize == 0 {
		s.pages = append(s.pages, new([pageSize]entry[K, V]))
	}
	if s.used++; s.used == end {
		panic("cannot hold more than 2^32 entries in one map")
	}
	return i
}

// put frees a slot, which is not linked any more.
func (s *slots[K, V]) put(i slot) {
	*s.at(i) = entry[K, V]{next: s.free}
	s.free = i
}

// link puts i behind the slot that it has as prev.
func (s *slots[K, V]) link(i slot) {
	e := s.at(i)
	before := s.at(e.prev)
	e.next = before.next
	before.next = i
	s.at(e.next).prev = i
}

// unlink takes i out of the order.
func (s *slots[K, V]) unlink(i slot) {
	e := s.at(i)
	s.at(e.prev).next = e.next
	s.at(e.next).prev = e.prev
}
