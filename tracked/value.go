package tracked

import (
	"reflect"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// A Value is one tracked value.
type Value[V any] struct {
	header
	is      kind // kindValue, or kindCounter inside a Counter
	codec   codec.Codec[V]
	initial V
	v, old  V    // old: before the call
	unsent  bool // changed since the last delta
}

var _ part = (*Value[int])(nil)

// NewValue registers a Value under a name that is unique in s. It starts as initial.
func NewValue[V any](s *Store, name string, initial V) *Value[V] {
	x := &Value[V]{is: kindValue, codec: codec.For[V](), initial: initial, v: initial}
	s.register(&x.header, name, x, reflect.TypeFor[V]())
	return x
}

// Get returns the value.
func (x *Value[V]) Get() V { return x.v }

// Set changes the value.
func (x *Value[V]) Set(v V) {
	first := !x.used
	if x.change() {
		if first {
			x.old = x.v
		}
		if x.frontier > 0 {
			out, err := x.appendSet(x.s.changes, v)
			if err != nil {
				x.unencodable(err)
			}
			x.s.changes = out
		}
	} else {
		x.unsent = true
	}
	x.v = v
}

// appendSet returns dst as it was on an error.
func (x *Value[V]) appendSet(dst []byte, v V) ([]byte, error) {
	out, err := x.codec.Append(x.tag(dst, opSet), v)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func (x *Value[V]) kind() kind { return x.is }

func (x *Value[V]) commit() {
	x.unsent = x.unsent || x.used
	x.forget()
}

func (x *Value[V]) rollback() {
	x.v = x.old
	x.forget()
}

func (x *Value[V]) forget() {
	var zero V
	x.old = zero
}

func (x *Value[V]) reset() { x.v = x.initial }

func (x *Value[V]) apply(o op, b []byte) ([]byte, error) {
	if o != opSet {
		return nil, wrongOp(o, x.is)
	}
	v, rest, err := x.codec.Decode(b)
	if err == nil {
		x.v, x.unsent = v, true
	}
	return rest, err
}

func (x *Value[V]) startWalk() {}

func (x *Value[V]) appendChunk(dst []byte, base, limit int) ([]byte, bool, error) {
	out, err := x.appendSet(dst, x.v)
	if err != nil {
		return dst, false, err
	}
	if len(out) > limit && len(dst) > base {
		return dst, false, nil
	}
	return out, true, nil
}

func (x *Value[V]) rebase() { x.unsent = false }

func (x *Value[V]) dirty() int {
	if x.unsent {
		return 1
	}
	return 0
}

func (x *Value[V]) appendDelta(dst []byte) ([]byte, error) {
	if !x.unsent {
		return dst, nil
	}
	return x.appendSet(dst, x.v)
}

func (x *Value[V]) digest(d *digest) { addTo(d, x.codec, x.v) }
