package tracked

import (
	"fmt"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// A part that only the other member's program knows can be kept: its keys and values are not understood here, but held
// as they came and handed on as they are, so that the other program finds all of it when it is back.

// raw is one value as the other program has encoded it; empty: none.
type raw []byte

// MarshalMsg appends it as it is.
func (r *raw) MarshalMsg(b []byte) ([]byte, error) { return append(b, *r...), nil }

// UnmarshalMsg takes the first value of b.
func (r *raw) UnmarshalMsg(b []byte) (rest []byte, err error) {
	rest, err = codec.Skip(b)
	if err == nil {
		*r = append(raw(nil), b[:len(b)-len(rest)]...)
	}
	return rest, err
}

// rawKey is a raw that can be looked up. One program encodes equal keys equally.
type rawKey string

// MarshalMsg appends it as it is.
func (k *rawKey) MarshalMsg(b []byte) ([]byte, error) { return append(b, *k...), nil }

// UnmarshalMsg takes the first value of b.
func (k *rawKey) UnmarshalMsg(b []byte) (rest []byte, err error) {
	rest, err = codec.Skip(b)
	if err == nil {
		*k = rawKey(b[:len(b)-len(rest)])
	}
	return rest, err
}

// keptValue is a Value of which nothing is known until it is set: what it begins with stands in the other program.
type keptValue struct{ Value[raw] }

var _ part = (*keptValue)(nil)

func (x *keptValue) appendChunk(dst []byte, base, limit int) ([]byte, bool, error) {
	if len(x.v) == 0 {
		return dst, true, nil
	}
	return x.Value.appendChunk(dst, base, limit)
}

// keep registers a part to be kept, which may be done while the service runs.
func (s *Store) keep(k kind, name string) {
	frozen := s.frozen
	s.frozen = false
	defer func() { s.frozen = frozen }()
	switch k {
	case kindMap:
		NewMap[rawKey, raw](s, name)
	case kindValue:
		x := &keptValue{Value[raw]{is: kindValue, codec: codec.For[raw]()}}
		s.register(&x.header, name, x)
	case kindCounter:
		NewCounter(s, name)
	case kindQueue:
		NewQueue[raw](s, name)
	default:
		panic(fmt.Sprintf("cannot keep %v %q", k, name))
	}
	h := s.parts[len(s.parts)-1].head()
	h.kept = true
	if s.muted {
		h.frontier = 0
	}
}
