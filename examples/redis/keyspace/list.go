package keyspace

import (
	"encoding/binary"

	"github.com/tidwall/btree"
)

// listBag is the index of a list: its values by position. Positions leave gaps, so that an element can be inserted without
// moving others.
type listBag struct {
	id   uint64
	skip int
	tree btree.Map[int64, string]
	buf  []byte
}

// gap is the distance between an element pushed and its neighbour. 2^47 pushes on one side fit, which is 44 years of
// 100,000 a second.
const gap = 1 << 16

var _ bag = (*listBag)(nil)

func (b *listBag) change(key, _, now string, _, has bool) {
	if at := position(key[b.skip:]); has {
		b.tree.Set(at, now)
	} else {
		b.tree.Delete(at)
	}
}

func (b *listBag) len() int { return b.tree.Len() }

func (b *listBag) first() string {
	at, _, _ := b.tree.Min()
	return b.key(at)
}

// key returns the tracked key of a position. It is valid until the next one is made.
func (b *listBag) key(at int64) string {
	b.buf = appendPosition(binary.AppendUvarint(b.buf[:0], b.id), at)
	return lent(b.buf)
}

func (b *listBag) all(yield func(at int64, value string) bool) { b.tree.Scan(yield) }

func appendPosition(dst []byte, at int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(at)^1<<63)
}

func position(key string) int64 {
	return int64(number(key) ^ 1<<63)
}

// ListKey is a key that holds a list, or none yet. Elements are counted from 0.
type ListKey struct {
	collection
	posBuf [8]byte
}

// List opens a list. The error is ErrWrongType.
func (d DB) List(name []byte) (ListKey, error) {
	c, err := d.collection(name, List)
	return ListKey{collection: c}, err
}

func (l *ListKey) tree() *btree.Map[int64, string] {
	if b, ok := l.bag().(*listBag); ok {
		return &b.tree
	}
	return new(btree.Map[int64, string])
}

func (l *ListKey) set(at int64, value string) { l.put(appendPosition(l.posBuf[:0], at), value) }

func (l *ListKey) add(at int64, value string) { l.insert(appendPosition(l.posBuf[:0], at), value) }

func (l *ListKey) delete(at int64) { l.remove(appendPosition(l.posBuf[:0], at)) }

// At returns element i.
func (l *ListKey) At(i int) string {
	_, v, _ := l.tree().GetAt(i)
	return v
}

// Replace gives element i, which is there, another value.
func (l *ListKey) Replace(i int, value string) {
	at, _, _ := l.tree().GetAt(i)
	l.set(at, value)
}

// Push adds an element at the head or the tail.
func (l *ListKey) Push(head bool, value string) {
	var at int64
	if b, ok := l.bag().(*listBag); ok {
		if head {
			at, _, _ = b.tree.Min()
			at -= gap
		} else {
			at, _, _ = b.tree.Max()
			at += gap
		}
	}
	l.add(at, value)
}

// Pop removes an element from the head or the tail.
func (l *ListKey) Pop(head bool) (value string, ok bool) {
	b, ok := l.bag().(*listBag)
	if !ok {
		return "", false
	}
	at, value, _ := b.tree.Max()
	if head {
		at, value, _ = b.tree.Min()
	}
	l.delete(at)
	return value, true
}

// Range calls yield with n elements from element i on, fewer if there are no more, until it returns false. The list must not
// be changed meanwhile.
func (l *ListKey) Range(i, n int, yield func(value string) bool) {
	t := l.tree()
	from, _, ok := t.GetAt(i)
	if !ok || n <= 0 {
		return
	}
	t.Ascend(from, func(_ int64, v string) bool {
		n--
		return yield(v) && n > 0
	})
}

// Backwards calls yield with all elements from the last to the first, until it returns false.
func (l *ListKey) Backwards(yield func(value string) bool) {
	l.tree().Reverse(func(_ int64, v string) bool { return yield(v) })
}

// Insert puts a value before element i, which is there or is the end.
func (l *ListKey) Insert(i int, value string) {
	t := l.tree()
	if i == 0 || i >= t.Len() {
		l.Push(i == 0, value)
		return
	}
	before, _, _ := t.GetAt(i - 1)
	after, _, _ := t.GetAt(i)
	if after-before < 2 {
		before, after = l.spread(i)
	}
	l.add(before+(after-before)/2, value)
}

// spread makes room before element i by moving its neighbours apart, as few of them as will do. It returns the positions
// between which there is room now.
func (l *ListKey) spread(i int) (before, after int64) {
	t := l.tree()
	n := t.Len()
	for width := 8; ; width *= 4 {
		low, high := max(i-width, 0), min(i+width, n) // these are moved
		left, right := l.edge(low-1, int64(high-low)), l.edge(high, int64(high-low))
		step := (right - left) / int64(high-low+2)
		if step < roomy && (low > 0 || high < n) {
			continue
		}
		values := make([]string, 0, high-low)
		l.Range(low, high-low, func(v string) bool {
			values = append(values, v)
			return true
		})
		for range values {
			at, _, _ := t.GetAt(low)
			_ = l.d.ks.Elements.Delete(l.key(appendPosition(l.posBuf[:0], at)))
		}
		for j, v := range values {
			at := left + step*int64(j+1)
			if low+j >= i {
				at += step // after the room
			}
			l.add(at, v)
		}
		before = left + step*int64(i-low)
		return before, before + 2*step
	}
}

// roomy is the distance between neighbours that makes moving them worth it.
const roomy = 256

// edge returns the position of element i, or of one that would be n pushes away from the end.
func (l *ListKey) edge(i int, n int64) int64 {
	t := l.tree()
	switch {
	case i < 0:
		at, _, _ := t.Min()
		return at - (n+1)*gap
	case i >= t.Len():
		at, _, _ := t.Max()
		return at + (n+1)*gap
	}
	at, _, _ := t.GetAt(i)
	return at
}

// RemoveValue removes the elements that equal value, at most n of them if n is positive, beginning at the head or at the tail.
func (l *ListKey) RemoveValue(value string, n int, head bool) (removed int) {
	var found []int64
	look := func(at int64, v string) bool {
		if v == value {
			found = append(found, at)
		}
		return n == 0 || len(found) < n
	}
	if head {
		l.tree().Scan(look)
	} else {
		l.tree().Reverse(look)
	}
	for _, at := range found {
		l.delete(at)
	}
	return len(found)
}
