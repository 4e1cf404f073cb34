package keyspace

import (
	"encoding/binary"
	"strings"
)

// A bag is the index of the elements of one collection.
type bag interface {
	// change follows a change of the tracked map. The key begins with the collection's ID.
	change(key, old, now string, had, has bool)
	len() int
	first() (key string) // of an element, if there is one
}

// elementChanged keeps the indexes of elements.
func (ks *Keyspace) elementChanged(key, old, now string, had, has bool) {
	id, size := idOf(key)
	b := ks.bags[id]
	if b == nil {
		switch kindOf(id) {
		case List:
			b = &listBag{id: id, skip: size}
		case ZSet:
			b = newScoreBag(size)
		default:
			b = &nameBag{newNames(size)}
		}
		ks.bags[id] = b
	}
	b.change(key, old, now, had, has)
	if b.len() == 0 {
		delete(ks.bags, id)
	}
}

// collection is a key that holds elements, during a call; or that may come to hold some.
type collection struct {
	d    DB
	name []byte
	kind Kind
	id   uint64 // 0: the key does not exist
}

func (d DB) collection(name []byte, kind Kind) (collection, error) {
	c := collection{d: d, name: name, kind: kind}
	switch e := d.Find(name); e.Kind() {
	case None:
	case kind:
		c.id = e.id()
	default:
		return c, ErrWrongType
	}
	return c, nil
}

// Exists reports whether the key exists. It does from the first element on, until the last one is removed.
func (c *collection) Exists() bool { return c.id != 0 }

// bag returns the index of the elements, nil if there are none.
func (c *collection) bag() bag { return c.d.ks.bags[c.id] }

// Len returns the number of elements.
func (c *collection) Len() int {
	if b := c.bag(); b != nil {
		return b.len()
	}
	return 0
}

// key returns the tracked key of an element. It is valid until the next one is made.
func (c *collection) key(element []byte) string {
	b := binary.AppendUvarint(c.d.ks.elementBuf[:0], c.id)
	c.d.ks.elementBuf = append(b, element...)
	return lent(c.d.ks.elementBuf)
}

func (c *collection) get(element []byte) (value string, found bool) {
	if c.id == 0 {
		return "", false
	}
	return c.d.ks.Elements.Lookup(c.key(element))
}

// make prepares for an element to be set: the key exists from now on.
func (c *collection) make() {
	if c.id == 0 {
		c.id = c.d.ks.newID(c.kind)
		c.d.put(c.name, "", collectionEntry(c.id, 0))
	} else {
		c.d.touch(c.name)
	}
}

// put sets an element. It reports whether the element is new.
func (c *collection) put(element []byte, value string) (added bool) {
	c.make()
	k := c.key(element)
	old, had := c.d.ks.Elements.Lookup(k)
	switch {
	case !had:
		c.d.ks.Elements.Set(strings.Clone(k), value)
	case old != value:
		c.d.ks.Elements.Set(k, value)
	}
	return !had
}

// insert sets an element that is not there yet.
func (c *collection) insert(element []byte, value string) {
	c.make()
	c.d.ks.Elements.Set(strings.Clone(c.key(element)), value)
}

// remove removes an element and reports whether it was there. With the last one goes the key.
func (c *collection) remove(element []byte) bool {
	if c.id == 0 || !c.d.ks.Elements.Delete(c.key(element)) {
		return false
	}
	if c.bag() == nil {
		c.d.ks.Keys.Delete(c.d.key(c.name))
		c.id = 0
	}
	c.d.touch(c.name)
	return true
}

// Copy makes another key hold a copy of what stands under a key, which is there. The other one must not be.
func (d DB) Copy(from []byte, other DB, to []byte) {
	e := d.Find(from)
	if e.Kind() == String {
		other.put(to, "", e)
		return
	}
	id := d.ks.newID(e.Kind())
	other.put(to, "", collectionEntry(id, e.Expire()))
	prefix := string(binary.AppendUvarint(nil, id))
	d.ks.elements(e.id(), func(key, value string) bool {
		_, size := idOf(key)
		d.ks.Elements.Set(prefix+key[size:], value)
		return true
	})
}

// elements calls yield with all elements of a collection, in the order of its index, and their tracked keys.
func (ks *Keyspace) elements(id uint64, yield func(key, value string) bool) {
	switch b := ks.bags[id].(type) {
	case *listBag:
		b.all(func(at int64, value string) bool { return yield(b.key(at), value) })
	case *nameBag:
		b.all(func(key string) bool { return yield(key, ks.Elements.Get(key)) })
	case *scoreBag:
		b.tree.Scan(func(s scored) bool { return yield(s.key, ks.Elements.Get(s.key)) })
	}
}
