package pair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"time"

	"github.com/1fb4ed1c/tandem/internal/codec"
	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
	"github.com/1fb4ed1c/tandem/tracked"
)

// Service is a program that runs as a process pair: handlers over tracked state. Build it, declare its state and its
// handlers, then Run it; all members of the pair do the same.
type Service struct {
	name     string
	cfg      Config
	store    *tracked.Store
	handlers map[string]*method
	timers   []*timers
	m        *member
	call     Call
	out      []byte // reply of the call that runs
	chunk    []byte
	replay   replay
	parked   parking
	survivor survivor

	origins   []*origin
	streaming streaming
	files     []*File
	attend    attending
}

// method is a name and what runs under it: a function that appends the encoding of its reply to dst.
type method struct {
	name string
	run  func(c *Call, body, dst []byte) ([]byte, error)
	fail func(dst []byte, err error) []byte // of a stream: appends the reply to a request that failed
	tag  []byte                             // of a stream: the name as it stands in records
}

// New returns a service called name with the default configuration. Its errors show when it is run.
func New(name string) *Service { return Config{}.New(name) }

// New returns a service called name.
func (c Config) New(name string) *Service {
	s := &Service{name: name, cfg: c, store: tracked.NewStore(), handlers: map[string]*method{}}
	s.call.svc = s
	return s
}

// Handle makes f the handler of a method. It is called by one request at a time. What it changes of the tracked state
// becomes visible together with the reply, to requesters and to the backup; an error it returns undoes every change of
// the call. Its errors reach the requester with their text and, if made by [receive.NewError], their code.
//
// With BackupLazy and BackupEager a handler must be deterministic: it must take the time and randomness from the Call, and
// must not depend on anything but its request and the tracked state.
//
// A panic in a handler ends the process, as on NonStop: the backup takes over and tries the request again. A request that
// kills two primaries in a row is refused with [receive.ErrPoison], and so is one that panics again while there is no backup.
//
// Handle must be called before Run; declaring a method twice panics.
func Handle[Req, Rep any](s *Service, name string, f func(c *Call, req Req) (Rep, error)) {
	if _, ok := s.handlers[name]; ok || s.m != nil {
		panic(fmt.Sprintf("pair: cannot handle %q: it is handled already, or the service runs", name))
	}
	req, rep := codec.For[Req](), codec.For[Rep]()
	run := func(c *Call, body, dst []byte) ([]byte, error) {
		q, rest, err := req.Decode(body)
		if err != nil || len(rest) > 0 {
			return dst, fmt.Errorf("cannot read a request for %s as %T (%v): %w", name, q, err, receive.ErrBadRequest)
		}
		p, err := f(c, q)
		if err != nil {
			return dst, err
		}
		return rep.Append(dst, p)
	}
	s.handlers[name] = &method{name: name, run: run}
}

// Map declares a tracked map. Declare state before Run, on every member the same.
func Map[K comparable, V any](s *Service, name string) *tracked.Map[K, V] {
	return tracked.NewMap[K, V](s.store, name)
}

// Value declares a tracked value.
func Value[V any](s *Service, name string, initial V) *tracked.Value[V] {
	return tracked.NewValue(s.store, name, initial)
}

// Counter declares a tracked counter.
func Counter(s *Service, name string) *tracked.Counter { return tracked.NewCounter(s.store, name) }

// Queue declares a tracked queue.
func Queue[V any](s *Service, name string) *tracked.Queue[V] {
	return tracked.NewQueue[V](s.store, name)
}

// Run makes this process a member of the pair and returns when it leaves: nil after a planned stop, which SIGTERM, SIGINT or
// SIGHUP to either member asks for, and the end of ctx. The errors tell why this member could not join or had to leave
// (ErrThirdMember, ErrDropped, ErrDeposed, ErrNotSynchronised, or a system's error).
func (s *Service) Run(ctx context.Context) error {
	s.store.Freeze()
	if err := cmp.Or(s.checkStreams(), s.checkFiles(), s.checkAttendance()); err != nil {
		return fmt.Errorf("cannot run %q: %w", s.name, err)
	}
	m, err := enter(ctx, s.name, s.cfg, s.bind)
	if errors.Is(err, errAbandoned) {
		return nil // nobody waits for this process: it is no failure of the pair
	}
	if err != nil {
		return err
	}
	return m.run(ctx)
}

// bind gives the service its member, before the first event.
func (s *Service) bind(m *member) application {
	s.m, s.cfg = m, m.cfg
	return s
}

// Changes returns a channel that tells what this member is: the present state at once, then every change. Only the latest
// change is kept for a slow receiver. Before Run it returns nil.
func (s *Service) Changes() (changes <-chan RoleChange, cancel func()) {
	if s.m == nil {
		return nil, func() {}
	}
	return s.m.status.subscribe()
}

// request runs one request of a requester.
func (s *Service) request(c *conn, f *wire.Frame) {
	m := s.m
	o := c.opener
	if m.poisonous(o.ID, f.ID) {
		s.refusePoison(c, f)
		return
	}
	if s.parks(o.ID, f) {
		return
	}
	r := requestRecord{opener: o.ID, id: f.ID, low: f.Low, wall: m.wall(), mono: int64(m.now), seed: rand.Uint64(), method: f.Method, body: f.Body}
	code, survived := s.runAlone(&r)
	if survived {
		s.panicked(c, f)
		return
	}
	s.ship(&r, code)
	o.Save(f.ID, code, s.out)
	m.requests++
	m.reply(c, f.ID, code, s.out)
}

// run runs the handler of r. It leaves the reply, or the text of the error, in s.out and returns the code. The tracked
// changes are kept or undone.
func (s *Service) run(r *requestRecord) (code int64) {
	h := s.handlers[string(r.method)]
	s.store.Begin()
	out, err := s.invoke(h, r)
	if err == nil {
		err = s.fits(h, out)
	}
	if err != nil {
		s.rollback()
		return s.failed(h, err)
	}
	s.out = out
	return 0
}

// failed leaves in s.out what tells the requester of an error, and returns its code.
func (s *Service) failed(h *method, err error) (code int64) {
	c, text := receive.Describe(err)
	if h != nil && h.fail != nil {
		s.out = h.fail(s.out[:0], err)
		s.call.hangup = s.call.hangup || len(s.out) == 0 // a client that hears nothing must not wait
	} else {
		s.out = append(s.out[:0], text...)
	}
	return int64(c)
}

// fits refuses what would not fit into a packet or a record.
func (s *Service) fits(h *method, reply []byte) error {
	if len(reply) > wire.MaxBody && h.tag == nil {
		return fmt.Errorf("a reply of %d bytes, expected at most %d: %w", len(reply), wire.MaxBody, receive.ErrTooLarge)
	}
	if n, most := len(s.store.Changes())+len(reply), s.cfg.LogSize/4-recordSlack; n > most {
		return fmt.Errorf("changes of %d bytes, expected at most %d (Config.LogSize): %w", n, most, receive.ErrTooLarge)
	}
	return nil
}

// recordSlack is room for the headers of a record.
const recordSlack = 512

// invoke calls the handler. A panic ends the process here: the death is announced before anything is printed, since Go's own
// way takes milliseconds (perf.md §1.4).
func (s *Service) invoke(h *method, r *requestRecord) (out []byte, err error) {
	c := &s.call
	c.number++
	c.hangup = false
	if h == nil {
		return nil, fmt.Errorf("no handler for %q: %w", r.method, receive.ErrNoMethod)
	}
	c.method, c.opener, c.id, c.wall, c.mono, c.seed, c.seeded = h.name, r.opener, r.id, r.wall, time.Duration(r.mono), r.seed, false
	s.m.inHand(blame{r.opener, r.id})
	defer func() {
		if p := recover(); p != nil {
			if !s.survives(p) {
				s.m.die(p, debug.Stack)
			}
			out, err = nil, receive.ErrPoison
		}
	}()
	out, err = h.run(c, r.body, s.out[:0])
	s.m.inHand(blame{})
	return out, err
}

// ship hands the backup what it needs of a request that has been run.
func (s *Service) ship(r *requestRecord, code int64) {
	m := s.m
	m.point(PointHandled)
	if code == 0 {
		s.store.Commit() // first: a backup may be lost while its log is full, and that must not find a call open
		s.attended()
	}
	if !m.writing() {
		return
	}
	m.beat()
	if m.fill.on || !s.bothCompute() {
		rec := commitRecord{opener: r.opener, id: r.id, low: r.low, code: code, reply: s.out}
		if isStream(r.opener) {
			rec.code = streamCode(s.call.hangup)
		}
		if code == 0 {
			rec.changes = s.store.Changes()
		}
		s.write(kindCommit, &rec)
	} else {
		s.write(kindRequest, r)
		s.answered(r.opener, r.id)
	}
}

// finish ships the result of a request that no handler ran.
func (s *Service) finish(rec *commitRecord) {
	if s.m.writing() {
		s.write(kindCommit, rec)
		s.answered(rec.opener, rec.id)
	}
	if o := s.m.openers.Lookup(rec.opener); o != nil {
		o.Save(rec.id, rec.code, rec.reply)
	}
}

// record is what goes into the log.
type record interface {
	size() int
	put([]byte)
}

func (s *Service) write(kind recordKind, r record) {
	if b := s.m.reserve(kind, r.size()); b != nil {
		r.put(b)
	}
}

// inHand notes which request a death would be blamed on.
func (m *member) inHand(b blame) {
	if m.link != nil && m.serving {
		m.link.page.inHand = b
	}
}

// die ends this process because a handler panicked.
func (m *member) die(p any, stack func() []byte) {
	if l := m.link; l != nil && l.beacon != nil {
		l.page.say(announcedPanic, fmt.Sprint(p))
		l.beacon.Announce()
	}
	fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", p, stack())
	os.Exit(2)
}

// wall is the time of this round as a calendar knows it.
func (m *member) wall() int64 { return m.clock.wall + int64(m.now) }
