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

// keptBit, on a kind in a schema, marks a part that its writer does not understand either, and keeps.
const keptBit = 0x80

// Schema describes the parts: their names and kinds, in the order in which they were registered.
func (s *Store) Schema() []byte {
	var b []byte
	for _, p := range s.parts {
		h, k := p.head(), byte(p.kind())
		if h.kept {
			k |= keptBit
		}
		b = append(b, k)
		b = binary.AppendUvarint(b, uint64(len(h.name)))
		b = append(b, h.name...)
	}
	return b
}

// Bind tells the Store how the other member numbers its parts, from that member's Schema, so that the two may be
// different versions of a program. Every part of the other member must exist here with the same kind, else it is an
// ErrSchema that names all that do not; parts known only here are left alone. What the other member only keeps (see
// Follow) need not exist here: it is kept here as well. Bind(nil) says that the two are the same. After an error nothing
// has changed.
func (s *Store) Bind(schema []byte) error { return s.bind(schema, false) }

// Follow is Bind for a Store that holds the whole state already, and whose other member, of a newer program, goes on with
// it: a part that is not known here is kept unread, and handed on to whoever knows it.
func (s *Store) Follow(schema []byte) error { return s.bind(schema, true) }

func (s *Store) bind(schema []byte, keep bool) error {
	if schema == nil {
		s.bound = nil
		return nil
	}
	parts, err := readSchema(schema)
	if err != nil {
		return err
	}
	var problems []error
	for _, p := range parts {
		i, known := s.names[p.name]
		switch {
		case known && s.parts[i].kind() != p.kind:
			problems = append(problems, fmt.Errorf("%q is a %v there and a %v here", p.name, p.kind, s.parts[i].kind()))
		case !known && (!keep && !p.kept || p.kind > kindQueue):
			problems = append(problems, fmt.Errorf("%v %q of the other member is not known here", p.kind, p.name))
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrSchema, errors.Join(problems...))
	}
	bound := make([]uint32, 0, len(parts))
	for _, p := range parts {
		if _, known := s.names[p.name]; !known {
			s.keep(p.kind, p.name)
		}
		bound = append(bound, s.names[p.name])
	}
	s.bound = bound
	return nil
}

// Readable reports whether a Store with the given schema could Bind to that of this one, and so be its backup. The error
// is an ErrSchema that names every part that it lacks, or has as another kind.
func (s *Store) Readable(schema []byte) error {
	parts, err := readSchema(schema)
	if err != nil {
		return err
	}
	theirs := map[string]kind{}
	for _, p := range parts {
		theirs[p.name] = p.kind
	}
	var problems []error
	for _, p := range s.parts {
		h := p.head()
		switch k, known := theirs[h.name]; {
		case known && k != p.kind():
			problems = append(problems, fmt.Errorf("%q is a %v here and a %v there", h.name, p.kind(), k))
		case !known && !h.kept:
			problems = append(problems, fmt.Errorf("%v %q is not known there", p.kind(), h.name))
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrSchema, errors.Join(problems...))
	}
	return nil
}

// listing is what a schema says of one part.
type listing struct {
	kind kind
	kept bool
	name string
}

func readSchema(b []byte) (parts []listing, err error) {
	seen := map[string]bool{}
	for len(b) > 0 {
		n, width := binary.Uvarint(b[1:])
		if width <= 0 || n > uint64(len(b)-1-width) {
			return nil, fmt.Errorf("cannot read the other member's schema: %w", ErrCorrupt)
		}
		name := string(b[1+width:][:n])
		k := kind(b[0] &^ keptBit)
		if name == "" || seen[name] || k < kindMap {
			return nil, fmt.Errorf("cannot read the other member's schema: %v %q: %w", k, name, ErrCorrupt)
		}
		seen[name] = true
		parts = append(parts, listing{kind: k, kept: b[0]&keptBit != 0, name: name})
		b = b[1+width:][n:]
	}
	return parts, nil
}
