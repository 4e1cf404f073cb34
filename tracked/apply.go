package tracked

import (
	"encoding/binary"
	"fmt"
)

// Apply makes the changes that another Store recorded, or that AppendDelta collected. It accepts any bytes: what no
// Store has written is an error. After an error the Store may hold a part of the changes and must be filled anew.
func (s *Store) Apply(changes []byte) error {
	if s.inCall {
		return fmt.Errorf("cannot apply changes inside a call: %w", ErrBusy)
	}
	for b := changes; len(b) > 0; {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return fmt.Errorf("cannot apply changes: %w: no part named", ErrCorrupt)
		}
		p, err := s.lookup(tag >> opBits)
		if err != nil {
			return err
		}
		if b, err = p.apply(op(tag&(1<<opBits-1)), b[n:]); err != nil {
			return fmt.Errorf("cannot change %s: %w: %w", p.head().name, ErrCorrupt, err)
		}
	}
	return nil
}

// ApplyChunk takes in a piece of another Store's content. The pieces of a walk begin on a Store after Reset.
func (s *Store) ApplyChunk(b []byte) error {
	return s.Apply(b) // a chunk consists of the changes that make its content
}

// lookup finds the part that the other member calls i.
func (s *Store) lookup(i uint64) (part, error) {
	known := uint64(len(s.parts))
	if s.bound != nil {
		known = uint64(len(s.bound))
	}
	if i >= known {
		return nil, fmt.Errorf("cannot apply changes: %w: there is no part %d", ErrCorrupt, i)
	}
	if s.bound != nil {
		i = uint64(s.bound[i])
	}
	return s.parts[i], nil
}

// wrongOp is the answer of a part to an operation that its kind does not have.
func wrongOp(o op, k kind) error { return fmt.Errorf("operation %d on a %v", o, k) }
