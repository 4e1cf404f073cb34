package tracked

import "fmt"

// TrackDirty turns on, or off, the recording of what AppendDelta needs; each TrackDirty(true) starts a new delta. It
// costs nothing while a call runs and a little at its Commit.
func (s *Store) TrackDirty(on bool) {
	if s.inCall {
		panic("cannot begin a delta inside a call")
	}
	s.tracking = on
	for _, p := range s.parts {
		p.rebase()
	}
}

// DirtyCount returns the number of changes that the next delta would carry.
func (s *Store) DirtyCount() int {
	if !s.tracking {
		return 0
	}
	n := 0
	for _, p := range s.parts {
		n += p.dirty()
	}
	return n
}

// AppendDelta appends what has changed since the last delta, or since TrackDirty(true), each element once with its
// newest value, for Apply at a Store that is as this one was then. It fails during a walk. On an error it returns dst
// as it was, and the next delta will carry the changes.
func (s *Store) AppendDelta(dst []byte) ([]byte, error) {
	if s.inCall || s.walking || !s.tracking {
		return dst, fmt.Errorf("cannot write a delta in a call, in a walk, or without TrackDirty: %w", ErrBusy)
	}
	out := dst
	var err error
	for _, p := range s.parts {
		if out, err = p.appendDelta(out); err != nil {
			return dst, fmt.Errorf("cannot encode %s: %w", p.head().name, err)
		}
	}
	for _, p := range s.parts {
		p.rebase()
	}
	return out, nil
}
