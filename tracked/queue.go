package tracked

import (
	"encoding/binary"
	"errors"
	"iter"
	"reflect"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

const queuePage = 256

// A Queue is a tracked first-in-first-out queue.
//
// Elements are numbered; those from first up to, not including, last are in the queue. They live in pages, so that
// none is ever moved. What a call pops stays in its place until Commit, so undoing is setting two numbers back: first
// to freed, and last to oldLast.
type Queue[V any] struct {
	header
	codec       codec.Codec[V]
	pages       []*[queuePage]V
	base        uint64 // the number of the first element of pages[0]
	freed       uint64 // elements below are gone for good; outside a call it is first
	first, last uint64
	oldLast     uint64 // before the call
	deltaFirst  uint64 // at the last delta
	deltaLast   uint64
}

var _ part = (*Queue[int])(nil)

// NewQueue registers a Queue under a name that is unique in s.
func NewQueue[V any](s *Store, name string) *Queue[V] {
	q := &Queue[V]{codec: codec.For[V]()}
	s.register(&q.header, name, q, reflect.TypeFor[V]())
	return q
}

// Len returns the number of elements.
func (q *Queue[V]) Len() int { return int(q.last - q.first) }

// Push adds v at the end.
func (q *Queue[V]) Push(v V) {
	inCall := q.begin()
	if inCall && q.last < q.frontier {
		out, err := q.appendPush(q.s.changes, v)
		if err != nil {
			q.unencodable(err)
		}
		q.s.changes = out
	}
	q.push(v)
}

// Pop removes the first element and returns it; false means that the queue is empty.
func (q *Queue[V]) Pop() (v V, ok bool) {
	inCall := q.begin()
	if q.first == q.last {
		return v, false
	}
	if inCall && q.first < q.frontier {
		q.s.changes = q.appendPop(q.s.changes, 1)
	}
	v = *q.at(q.first)
	q.first++
	if !inCall {
		q.free()
	}
	return v, true
}

// Peek returns the first element; false means that the queue is empty.
func (q *Queue[V]) Peek() (v V, ok bool) {
	if q.first == q.last {
		return v, false
	}
	return *q.at(q.first), true
}

// All iterates over the elements, first to last, without removing them. Elements pushed meanwhile are seen, those
// popped before they were reached are not.
func (q *Queue[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		for i := q.first; i < q.last; i = max(i+1, q.first) {
			if !yield(*q.at(i)) {
				return
			}
		}
	}
}

func (q *Queue[V]) begin() (inCall bool) {
	first := !q.used
	if inCall = q.change(); inCall && first {
		q.oldLast = q.last
	}
	return inCall
}

func (q *Queue[V]) at(i uint64) *V {
	i -= q.base
	return &q.pages[i/queuePage][i%queuePage]
}

func (q *Queue[V]) push(v V) {
	if q.last-q.base == uint64(len(q.pages))*queuePage {
		q.pages = append(q.pages, new([queuePage]V))
	}
	*q.at(q.last) = v
	q.last++
}

// free drops the elements that were popped, and pages that are no longer used.
func (q *Queue[V]) free() {
	q.zero(q.freed, q.first)
	q.freed = q.first
	for q.first-q.base >= queuePage {
		q.pages[0] = nil
		q.pages = q.pages[1:]
		q.base += queuePage
	}
}

// zero drops what the elements refer to.
func (q *Queue[V]) zero(from, to uint64) {
	var zero V
	for ; from < to; from++ {
		*q.at(from) = zero
	}
}

func (q *Queue[V]) appendPush(dst []byte, v V) ([]byte, error) {
	out, err := q.codec.Append(q.tag(dst, opPush), v)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func (q *Queue[V]) appendPop(dst []byte, n uint64) []byte {
	return binary.AppendUvarint(q.tag(dst, opPop), n)
}

func (q *Queue[V]) kind() kind { return kindQueue }

func (q *Queue[V]) commit() { q.free() }

func (q *Queue[V]) rollback() {
	q.zero(q.oldLast, q.last)
	q.first, q.last = q.freed, q.oldLast
}

func (q *Queue[V]) reset() {
	q.pages, q.base, q.freed, q.first, q.last = nil, 0, 0, 0, 0
}

var (
	errNoCount = errors.New("the number of elements to pop is missing")
	errTooFew  = errors.New("more elements to pop than there are")
)

func (q *Queue[V]) apply(o op, b []byte) ([]byte, error) {
	switch o {
	case opPush:
		v, rest, err := q.codec.Decode(b)
		if err == nil {
			q.push(v)
		}
		return rest, err
	case opPop:
		n, width := binary.Uvarint(b)
		if width <= 0 {
			return nil, errNoCount
		}
		if n > q.last-q.first {
			return nil, errTooFew
		}
		q.first += n
		q.free()
		return b[width:], nil
	}
	return nil, wrongOp(o, kindQueue)
}

func (q *Queue[V]) startWalk() {}

func (q *Queue[V]) appendChunk(dst []byte, base, limit int) ([]byte, bool, error) {
	for i := max(q.frontier, q.first); i < q.last; i++ {
		out, err := q.appendPush(dst, *q.at(i))
		if err != nil {
			return dst, false, err
		}
		if len(out) > limit && len(dst) > base {
			return dst, false, nil
		}
		dst, q.frontier = out, i+1
	}
	return dst, true, nil
}

func (q *Queue[V]) rebase() { q.deltaFirst, q.deltaLast = q.first, q.last }

func (q *Queue[V]) dirty() int { return int(q.popped() + q.last - max(q.first, q.deltaLast)) }

// popped returns how many elements of the last delta are no longer there.
func (q *Queue[V]) popped() uint64 { return min(q.first, q.deltaLast) - q.deltaFirst }

func (q *Queue[V]) appendDelta(dst []byte) (_ []byte, err error) {
	if n := q.popped(); n > 0 {
		dst = q.appendPop(dst, n)
	}
	for i := max(q.first, q.deltaLast); i < q.last; i++ {
		if dst, err = q.appendPush(dst, *q.at(i)); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (q *Queue[V]) digest(d *digest) {
	for v := range q.All() {
		addTo(d, q.codec, v)
	}
}
