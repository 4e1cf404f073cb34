package tracked

// keep is how many bytes or entries of room a Store keeps from one call to the next.
const keep = 1 << 16

// Begin starts a call. What it changes can be read at once, and is made final by Commit or undone by Rollback.
func (s *Store) Begin() {
	if s.inCall {
		panic("cannot begin a call inside a call")
	}
	s.Freeze()
	s.inCall = true
	s.changes = s.changes[:0]
	if cap(s.changes) > keep {
		s.changes = nil
	}
}

// Changes returns the encoded changes of the call, for Apply at the other member. Empty means that there is nothing to
// apply. They are valid until the next Begin.
func (s *Store) Changes() []byte { return s.changes }

// Commit makes the changes of the call final.
func (s *Store) Commit() {
	if !s.inCall {
		panic("cannot commit outside a call")
	}
	for _, i := range s.touched {
		s.parts[i].commit()
	}
	s.endCall()
}

// Rollback undoes every change of the call exactly, the order of maps and queues included. Outside a call it does
// nothing, so that it can be deferred.
func (s *Store) Rollback() {
	if !s.inCall {
		return
	}
	s.changes = s.changes[:0]
	for _, i := range s.touched {
		s.parts[i].rollback()
	}
	s.endCall()
}

func (s *Store) endCall() {
	for _, i := range s.touched {
		s.parts[i].head().used = false
	}
	s.touched = s.touched[:0]
	s.inCall = false
}
