package tracked

import "fmt"

// StartWalk begins to hand out the whole content, to fill a new backup. From now on changes to what the walk has not
// reached are left out of Changes. A walk that is under way starts anew.
func (s *Store) StartWalk() {
	if s.inCall {
		panic("cannot start a walk inside a call")
	}
	s.walking, s.next, s.muted = true, 0, false
	for _, p := range s.parts {
		p.head().frontier = 0
		p.startWalk()
	}
}

// NextChunk appends the next piece of the content to dst, for ApplyChunk at the other member: at most max bytes, but
// always one element at least. When done is true, this piece was the last and the walk is over. It is called between
// calls. What it allocates does not depend on the size of the state.
func (s *Store) NextChunk(dst []byte, max int) (out []byte, done bool, err error) {
	if !s.walking {
		return dst, true, nil
	}
	if s.inCall {
		return dst, false, fmt.Errorf("cannot walk inside a call: %w", ErrBusy)
	}
	base := len(dst)
	for s.next < len(s.parts) {
		p := s.parts[s.next]
		dst, done, err = p.appendChunk(dst, base, base+max)
		if err != nil {
			return dst[:base], false, fmt.Errorf("cannot encode %s: %w", p.head().name, err)
		}
		if !done {
			return dst, false, nil
		}
		p.head().frontier = sentAll
		s.next++
	}
	s.walking = false
	return dst, true, nil
}

// StopWalk ends a walk early. Who was being filled by it cannot be used.
func (s *Store) StopWalk() {
	if s.inCall && s.walking {
		panic("cannot stop a walk inside a call")
	}
	s.walking, s.muted = false, false
	for _, p := range s.parts {
		p.head().frontier = sentAll
	}
}

// Walking reports whether a walk is under way.
func (s *Store) Walking() bool { return s.walking }

// Mute ends (true) or resumes the encoding of changes, for as long as nobody applies them: a call then costs less, and
// Changes stays empty. A walk resumes it. It returns what was before. It is called between calls and not during a walk.
func (s *Store) Mute(on bool) (was bool) {
	if s.inCall || s.walking {
		panic("cannot mute the store inside a call or during a walk")
	}
	frontier := uint64(sentAll)
	if on {
		frontier = 0
	}
	for _, p := range s.parts {
		p.head().frontier = frontier
	}
	was, s.muted = s.muted, on
	return was
}
