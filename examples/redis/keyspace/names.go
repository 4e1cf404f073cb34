package keyspace

import (
	"hash/crc32"

	"github.com/tidwall/btree"
)

// newTree returns a tree for one goroutine.
func newTree[T any](less func(a, b T) bool) *btree.BTreeG[T] {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

// names is an index of tracked keys of one ID: in the order of a hash, so that any moment of it can be named by a number,
// and counted, so that any of them can be picked.
type names struct {
	tree *btree.BTreeG[hashed]
	skip int // the length of the ID that every key begins with
}

type hashed struct {
	hash uint32
	key  string
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func byHash(a, b hashed) bool {
	if a.hash != b.hash {
		return a.hash < b.hash
	}
	return a.key < b.key
}

func newNames(skip int) names { return names{newTree(byHash), skip} }

func (n names) hash(key string) hashed {
	return hashed{crc32.Checksum([]byte(key[n.skip:]), castagnoli), key}
}

// change follows a change of the tracked map.
func (n names) change(key string, had, has bool) {
	if has && !had {
		n.tree.Set(n.hash(key))
	} else if had && !has {
		n.tree.Delete(n.hash(key))
	}
}

func (n names) len() int { return n.tree.Len() }

func (n names) first() string {
	h, _ := n.tree.Min()
	return h.key
}

// at returns name i in the order of the index.
func (n names) at(i int) string {
	h, _ := n.tree.GetAt(i)
	return h.key[n.skip:]
}

// all calls yield with every tracked key until it returns false.
func (n names) all(yield func(key string) bool) {
	n.tree.Scan(func(h hashed) bool { return yield(h.key) })
}

// scan calls yield with about count names from a cursor on, which is a hash, and returns where to go on; 0: at the end.
func (n names) scan(cursor uint64, count int, yield func(name string)) (next uint64) {
	if cursor > 1<<32-1 {
		return 0
	}
	last := hashed{}
	n.tree.Ascend(hashed{hash: uint32(cursor)}, func(h hashed) bool {
		if count <= 0 && h.hash != last.hash {
			next = uint64(last.hash) + 1
			return false
		}
		yield(h.key[n.skip:])
		last = h
		count--
		return true
	})
	return next
}

var _ bag = (*nameBag)(nil)

// nameBag is the index of a set or a hash.
type nameBag struct{ names }

func (b *nameBag) change(key, _, _ string, had, has bool) { b.names.change(key, had, has) }
