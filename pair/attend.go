package pair

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/sock"
	"github.com/1fb4ed1c/tandem/receive"
)

// Attendant is what a service does on its primary besides answering requests: it watches something outside, such as processes or
// devices, and acts there. It needs PrimaryComputes, for what happens outside happens to one member only.
//
// What it learns comes in as calls (see [Input]), what it does goes out with [Call.After]; in between is the tracked state,
// by which a new primary knows what is to be watched and done.
type Attendant struct {
	// Promoted is called, as a call of its own, when this member has become the primary and before it handles anything else.
	Promoted func(c *Call, how Promotion) error
	// Demoted is called when this member is about to hand over to the other. What Promoted and After have begun must be at rest
	// when it returns, and it must return soon: nobody is served meanwhile. It is not called for a process that ends.
	Demoted func()
	// Closed is called, as a call of its own, when a requester's open has ended: by its wish, or because its process did and did not
	// come back. Call.Opener tells which. A takeover in that very moment may leave it out.
	Closed func(c *Call) error
}

// Promotion says how a member became the primary.
type Promotion struct {
	First   bool // of its instance: nobody was primary before
	Planned bool // a switch or an upgrade; false: a takeover
}

// Attend gives the service an attendant. Call it before Run, once.
func Attend(s *Service, a Attendant) {
	if s.m != nil || s.attend.has {
		panic("pair: cannot attend: the service runs, or has an attendant")
	}
	s.attend.is, s.attend.has, s.attend.Attendant = true, true, a
}

// attending is the attendant of a service, or the lack of one.
type attending struct {
	Attendant
	is  bool // there is an attendant or an input
	has bool

	mu    sync.Mutex
	queue []input // posted and not handled yet

	planned []func() // by After, in the call that runs
	due     []func() // of calls that are in the log, or about to be
}

// input is something that was posted: a call to be made.
type input struct {
	name string
	run  func(c *Call) error
}

// Input is a source of calls from within the primary's own process: news from outside that no requester brings. It needs
// PrimaryComputes.
type Input[T any] struct {
	s    *Service
	name string
	f    func(c *Call, v T) error
}

// NewInput declares an input whose handler is f. It runs like that of a request without a reply: an error undoes its changes, and is
// logged.
func NewInput[T any](s *Service, name string, f func(c *Call, v T) error) *Input[T] {
	s.attend.is = true
	return &Input[T]{s: s, name: name, f: f}
}

// Post has v handled, after everything that was posted before. It never blocks; any goroutine may call it. A member that is not the
// primary, or is not any more when v's turn comes, forgets v: so what is posted must be something that a new primary learns by
// itself.
func (in *Input[T]) Post(v T) {
	s := in.s
	a := &s.attend
	a.mu.Lock()
	a.queue = append(a.queue, input{in.name, func(c *Call) error { return in.f(c, v) }})
	first := len(a.queue) == 1
	a.mu.Unlock()
	if first && s.m != nil {
		s.m.mail.post(func() {})
	}
}

// After has f called when this call has succeeded and is in the log, before its reply and in the order of the calls: for what is to be
// done outside. It is called on the loop of the member, so it must not wait. It is called once or, if this process ends before,
// never: a new primary must work out from the state what is left to do.
func (c *Call) After(f func()) { c.svc.attend.planned = append(c.svc.attend.planned, f) }

// Sender returns the user and the process of the requester, as the kernel knows them; zero for calls that no requester made.
func (c *Call) Sender() (uid uint32, pid int) { return c.SenderOf(c.opener) }

// SenderOf returns the user and the process of the requester of an open; zero if there is no such open.
func (c *Call) SenderOf(opener uint64) (uid uint32, pid int) {
	if o := c.svc.m.openers.Lookup(opener); o != nil && opener != 0 {
		return o.UID, o.PID
	}
	return 0, 0
}

// Monotonic returns the time of the call by CLOCK_MONOTONIC, which all processes of the host share and no clock setting moves.
func (c *Call) Monotonic() (ns int64) { return int64(c.mono) }

func (s *Service) checkAttendance() error {
	if s.attend.is && s.cfg.Mode != PrimaryComputes {
		return fmt.Errorf("mode %v with an attendant or an input: expected PrimaryComputes", s.cfg.Mode)
	}
	return nil
}

// inputsAtOnce bounds the inputs handled in one round, so that requests get their turn.
const inputsAtOnce = 256

// takeInputs handles what was posted.
func (s *Service) takeInputs() {
	a := &s.attend
	a.mu.Lock()
	n := min(len(a.queue), inputsAtOnce)
	now := a.queue[:n:n]
	a.queue = a.queue[n:]
	a.mu.Unlock()
	for i := range now {
		if s.m.left {
			return
		}
		s.local(0, now[i].name, now[i].run)
		now[i] = input{}
	}
}

// pending reports whether inputs wait.
func (a *attending) pending() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue) > 0
}

// local runs a call that no requester made.
func (s *Service) local(opener uint64, name string, f func(c *Call) error) {
	m, c := s.m, &s.call
	s.store.Begin()
	c.number++
	c.hangup, c.seeded = false, false
	c.method, c.opener, c.id, c.wall, c.mono, c.seed = name, opener, 0, m.wall(), m.now, rand.Uint64()
	err := f(c)
	if err == nil {
		err = s.fits(nil, nil)
	}
	if err != nil {
		s.rollback()
		m.log.Error("a call of the service's own failed", "call", name, "error", err)
		return
	}
	s.store.Commit()
	s.attended()
	if b := s.store.Changes(); len(b) > 0 && m.writing() {
		m.beat()
		m.point(PointHandled)
		s.write(kindCommit, &commitRecord{changes: b})
	}
}

// attended moves what a call has planned to what is due, now that it has succeeded.
func (s *Service) attended() {
	a := &s.attend
	a.due = append(a.due, a.planned...)
	clear(a.planned)
	a.planned = a.planned[:0]
}

// act does what is due outside. What a dead primary may have begun must have ended first.
func (s *Service) act() error {
	a := &s.attend
	if len(a.due) == 0 {
		return nil
	}
	if !s.m.awaitFence() {
		return nil
	}
	s.m.point(PointAppended)
	for len(a.due) > 0 {
		due := a.due
		a.due = nil
		for _, f := range due {
			f()
			s.m.point(PointEffects)
		}
	}
	return nil
}

// attendPromoted lets the attendant begin.
func (s *Service) attendPromoted(planned bool) {
	a := &s.attend
	a.mu.Lock()
	a.queue = nil
	a.mu.Unlock()
	a.due = nil
	if a.Promoted != nil {
		first := s.m.takeover == nil
		how := Promotion{First: first, Planned: planned && !first}
		s.local(0, "promoted", func(c *Call) error { return a.Promoted(c, how) })
	}
}

func (s *Service) attendDemoted() {
	a := &s.attend
	if a.Demoted != nil {
		a.Demoted()
	}
	a.mu.Lock()
	a.queue = nil
	a.mu.Unlock()
}

func (s *Service) attendClosed(msg receive.Close) {
	if a := &s.attend; a.Closed != nil && s.m.serving {
		s.local(msg.Opener, "closed", a.Closed)
	}
}

// Admit lets requesters of every user open the service through a unix socket at path, of mode 0666; its directory must exist. What they
// may do is for the handlers to decide, by [Call.Sender]. Without it only processes of the service's own user, and root, can
// reach it. Call it before Run. Requesters use [receive.Socket].
func Admit(s *Service, path string) {
	o := s.origin("unix:" + path)
	o.door = path
}

// openDoor listens at the path of a door.
func openDoor(path string) (fd int, err error) {
	if fd, err = sock.Listen(path); err != nil {
		return -1, err
	}
	if err := unix.Chmod(path, 0o666); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("cannot open %s to other users: %w", path, err)
	}
	return fd, nil
}
