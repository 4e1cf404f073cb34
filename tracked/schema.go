package tracked

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// kind is what a part is. The numbers are part of the wire.
type kind uint8

const (
	kindMap kind = 1 + iota
	kindValue
	kindCounter
	kindQueue
)

func (k kind) String() string {
	switch k {
	case kindMap:
		return "Map"
	case kindValue:
		return "Value"
	case kindCounter:
		return "Counter"
	case kindQueue:
		return "Queue"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Schema describes the parts: their names and kinds, in the order in which they were registered.
func (s *Store) Schema() []byte {
	var b []byte
	for _, p := range s.parts {
		name := p.head().name
		b = append(b, byte(p.kind()))
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	return b
}

// Bind tells the Store how the other member numbers its parts, from that member's Schema, so that the two may be
// different versions of a program. Every part of the other member must exist here with the same kind, else it is an
// ErrSchema that names all that do not; parts known only here are left alone. Bind(nil) says that the two are the same.
// After an error nothing has changed.
func (s *Store) Bind(schema []byte) error {
	if schema == nil {
		s.bound = nil
		return nil
	}
	bound := []uint32{}
	var problems []error
	for b := schema; len(b) > 0; {
		k, name, rest, ok := readSchema(b)
		if !ok {
			return fmt.Errorf("cannot read the other member's schema: %w", ErrCorrupt)
		}
		b = rest
		i, known := s.names[name]
		switch {
		case !known:
			problems = append(problems, fmt.Errorf("%v %q of the other member is not known here", k, name))
			continue
		case s.parts[i].kind() != k:
			problems = append(problems, fmt.Errorf("%q is a %v there and a %v here", name, k, s.parts[i].kind()))
		}
		bound = append(bound, i)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrSchema, errors.Join(problems...))
	}
	s.bound = bound
	return nil
}

func readSchema(b []byte) (k kind, name string, rest []byte, ok bool) {
	n, width := binary.Uvarint(b[1:])
	if width <= 0 || n > uint64(len(b)-1-width) {
		return 0, "", nil, false
	}
	rest = b[1+width:]
	return kind(b[0]), string(rest[:n]), rest[n:], true
}
