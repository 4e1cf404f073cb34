package receive

import (
	"math/bits"
	"time"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

// session is the requester's half of an open: which calls are under way, what
// has to be sent, what is to be sent again. It is pure: the shell (Conn) tells
// it what has happened, holding its lock, then wakes the calls in news and sends
// what fill returns.
//
// Calls have consecutive IDs in [low, next) and lie in a ring by ID. The window
// slides: a call gets an ID only if that is less than span above low, so the
// server, which keeps span replies, always has the slot of an ID that may come
// again.
type session struct {
	name     string
	priority uint8
	depth    int // sync depth; 0: nothing is sent twice
	window   int // most calls under way
	pid      int

	instance string // empty before the first welcome
	opener   uint64
	cookie   uint64
	epoch    uint32

	up   bool   // welcomed on the present connection
	end  error  // sentinel: why this session serves no more calls; nil while it does
	text string // the server's words for it

	next, low uint64
	span      uint64
	ring      []*call // by ID modulo its length, a power of two
	waiting   []*call // started, no room in the window yet
	opening   *call   // waits for the first welcome

	queue   []uint64 // IDs to be sent, in order
	cancels []uint64 // IDs given up after they were sent
	fresh   []uint64 // IDs sent for the first time by the last fill

	news     []*call // have a result, or the ID they waited for
	greet    bool    // say hello again
	redial   bool    // the connection leads to a member that is not the primary
	progress bool    // a reply has come since the shell last looked
}

type callState uint8

const (
	callIdle    callState = iota
	callWaiting           // for room in the window
	callParked            // has an ID, and is not to be sent yet
	callActive            // to be answered
	callDone
)

// call is one request of a caller. Everything is guarded by the Conn's lock,
// but what a caller set before it started the call.
type call struct {
	id     uint64
	state  callState
	park   bool // stop at callParked
	sent   bool // may have reached a server
	turned bool // was turned away by a member that is not the primary
	method []byte
	body   []byte
	reply  []byte
	err    error
	down   time.Time // since when nobody serves it, as far as was looked; zero while somebody does

	// For the shell.
	wake  chan struct{} // there are news: done, an ID, or the lead
	leads bool          // receives for all calls
	enc   []byte        // room for an encoded body
}

func newSession(name string, depth, window int) *session {
	s := &session{name: name, depth: depth, window: window, next: 1, low: 1}
	s.limit()
	s.ring = make([]*call, 1<<bits.Len64(s.span-1))
	return s
}

// limit computes the span. Only the window counts when nothing is ever repeated.
func (s *session) limit() {
	s.span = uint64(s.window)
	if s.depth > 0 {
		s.span = uint64(min(s.window, s.depth))
	}
}

// hello is what to say first on a connection.
func (s *session) hello() wire.Hello {
	return wire.Hello{
		Role: wire.RoleRequester, Name: s.name, Depth: s.depth, Window: s.window,
		Instance: s.instance, Opener: s.opener, Cookie: s.cookie, PID: s.pid,
	}
}

// open registers the call that the first welcome or refusal ends.
func (s *session) open(k *call) {
	k.state = callActive
	s.opening = k
}

// start takes a call on. It gets its ID at once or when there is room.
func (s *session) start(k *call) error {
	if err := s.check(k); err != nil {
		return err
	}
	if len(s.waiting) == 0 && s.next-s.low < s.span {
		s.assign(k)
		return nil
	}
	k.state = callWaiting
	s.waiting = append(s.waiting, k)
	return nil
}

func (s *session) check(k *call) error {
	if s.end != nil {
		return s.failed(k, s.end, No)
	}
	if len(k.method) > wire.MaxMethod || len(k.body) > wire.MaxBody {
		return s.failed(k, ErrTooLarge, No)
	}
	return nil
}

func (s *session) assign(k *call) {
	k.id = s.next
	s.next++
	*s.at(k.id) = k
	k.state = callParked
	if !k.park {
		s.activate(k)
	}
}

// activate sends a parked call.
func (s *session) activate(k *call) {
	k.state = callActive
	s.queue = append(s.queue, k.id)
}

func (s *session) at(id uint64) **call { return &s.ring[id&uint64(len(s.ring)-1)] }

// find returns the unanswered call with this ID, or nil.
func (s *session) find(id uint64) *call {
	if id < s.low || id >= s.next {
		return nil
	}
	return *s.at(id)
}

// drop forgets a call that its caller gives up.
func (s *session) drop(k *call) {
	switch k.state {
	case callWaiting:
		for i, w := range s.waiting {
			if w == k {
				s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
				break
			}
		}
	case callParked, callActive:
		if k == s.opening {
			s.opening = nil
			break
		}
		if k.sent && s.up {
			s.cancels = append(s.cancels, k.id)
		}
		s.free(k)
	}
	k.state = callDone
}

// done ends a call with its result.
func (s *session) done(k *call, err error) {
	k.err = err
	switch {
	case k == s.opening:
		s.opening = nil
	case k.state != callWaiting:
		s.free(k)
	}
	k.state = callDone
	s.news = append(s.news, k)
}

// free makes room in the window, for those who wait for it.
func (s *session) free(k *call) {
	*s.at(k.id) = nil
	for s.low < s.next && *s.at(s.low) == nil {
		s.low++
	}
	for len(s.waiting) > 0 && s.next-s.low < s.span && s.end == nil {
		w := s.waiting[0]
		s.waiting[0] = nil
		if s.waiting = s.waiting[1:]; len(s.waiting) == 0 {
			s.waiting = nil
		}
		s.assign(w)
		if w.park {
			s.news = append(s.news, w)
		}
	}
}

// busy returns how many IDs are in use or were given up out of order.
func (s *session) busy() uint64 { return s.next - s.low }

// heir returns a call, other than not, whose caller can receive for all; nil if
// nobody waits.
func (s *session) heir(not *call) *call {
	for id := s.low; id < s.next; id++ {
		if k := *s.at(id); k != nil && k.state == callActive && k != not {
			return k
		}
	}
	for _, k := range s.waiting {
		if k != not {
			return k
		}
	}
	return nil
}

// each calls f with every call that has a caller waiting for its end, in the
// order of IDs.
func (s *session) each(f func(*call)) {
	for id, end := s.low, s.next; id < end; id++ {
		if k := *s.at(id); k != nil && k.id == id && k.state == callActive {
			f(k)
		}
	}
}

// finish ends the session: every call fails, and later ones will.
func (s *session) finish(sentinel error, text string, cause error) {
	if s.end != nil {
		return
	}
	s.end, s.text, s.up = sentinel, text, false
	s.queue, s.cancels = s.queue[:0], s.cancels[:0]
	s.failAll(sentinel, cause)
	for id, end := s.low, s.next; id < end; id++ {
		if k := *s.at(id); k != nil { // parked: it fails when it is sent
			s.free(k)
		}
	}
}

func (s *session) failAll(sentinel error, cause error) {
	s.each(func(k *call) { s.done(k, s.failure(k, sentinel, cause)) })
	waiting := s.waiting
	s.waiting = nil
	for _, k := range waiting {
		s.done(k, s.failure(k, sentinel, cause))
	}
	if s.opening != nil {
		s.done(s.opening, s.failure(s.opening, sentinel, cause))
	}
}

// expire fails the calls for which nobody has served for as long as limit. now
// is any clock that goes forward.
func (s *session) expire(now time.Time, limit time.Duration, cause error) {
	if s.up || s.end != nil {
		return
	}
	over := func(k *call) bool {
		if k.down.IsZero() {
			k.down = now
		}
		return now.Sub(k.down) >= limit
	}
	waiting := s.waiting // first: the end of another call makes room for them
	s.waiting = nil
	for _, k := range waiting {
		if over(k) {
			s.done(k, s.failure(k, ErrPathDown, cause))
			continue
		}
		s.waiting = append(s.waiting, k)
	}
	s.each(func(k *call) {
		if over(k) {
			s.done(k, s.failure(k, ErrPathDown, cause))
		}
	})
	if k := s.opening; k != nil && over(k) {
		s.done(k, s.failure(k, ErrPathDown, cause))
	}
}

func (s *session) op(k *call) string {
	if k == s.opening {
		return "open " + s.name
	}
	return "call " + string(k.method) + " on " + s.name
}

// failure is the error of a call which ends on this side.
func (s *session) failure(k *call, sentinel, cause error) error {
	applied := No
	if k.sent {
		applied = Maybe
	}
	e := s.failed(k, sentinel, applied)
	e.cause = cause
	return e
}

func (s *session) failed(k *call, sentinel error, applied Applied) *Error {
	e := failed(s.op(k), sentinel, applied, nil)
	if sentinel == s.end && s.text != "" {
		e.Text = s.text
	}
	return e
}
