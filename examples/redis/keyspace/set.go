package keyspace

// SetKey is a key that holds a set, or none yet.
type SetKey struct{ collection }

// Set opens a set. The error is ErrWrongType.
func (d DB) Set(name []byte) (SetKey, error) {
	c, err := d.collection(name, Set)
	return SetKey{c}, err
}

// Has reports whether a member is there.
func (s *SetKey) Has(member []byte) bool {
	_, found := s.get(member)
	return found
}

// Add adds a member and reports whether it is new.
func (s *SetKey) Add(member []byte) bool {
	if s.Has(member) {
		return false
	}
	s.insert(member, "")
	return true
}

// Remove removes a member and reports whether it was there.
func (s *SetKey) Remove(member []byte) bool { return s.remove(member) }

// HashKey is a key that holds a hash, or none yet.
type HashKey struct{ collection }

// Hash opens a hash. The error is ErrWrongType.
func (d DB) Hash(name []byte) (HashKey, error) {
	c, err := d.collection(name, Hash)
	return HashKey{c}, err
}

// Get returns the value of a field.
func (h *HashKey) Get(field []byte) (value string, found bool) { return h.get(field) }

// Put sets a field and reports whether it is new.
func (h *HashKey) Put(field []byte, value string) bool { return h.put(field, value) }

// Remove removes a field and reports whether it was there.
func (h *HashKey) Remove(field []byte) bool { return h.remove(field) }

// Each calls yield with every field and its value, until it returns false. The hash must not be changed meanwhile.
func (h *HashKey) Each(yield func(field, value string) bool) {
	n := h.names()
	n.all(func(k string) bool { return yield(k[n.skip:], h.d.ks.Elements.Get(k)) })
}

// names returns the index of a set or a hash.
func (c *collection) names() names {
	if b, ok := c.bag().(*nameBag); ok {
		return b.names
	}
	return newNames(0)
}

// At returns name i, in an order that only the names themselves decide.
func (c *collection) At(i int) string { return c.names().at(i) }

// Names calls yield with every member or field, until it returns false. The collection must not be changed meanwhile.
func (c *collection) Names(yield func(name string) bool) {
	n := c.names()
	n.all(func(k string) bool { return yield(k[n.skip:]) })
}

// Scan is DB.Scan for the names in a set or a hash.
func (c *collection) Scan(cursor uint64, count int, yield func(name string)) (next uint64) {
	return c.names().scan(cursor, count, yield)
}
