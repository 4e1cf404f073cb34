package pair

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/1fb4ed1c/tandem/internal/codec"
	"github.com/1fb4ed1c/tandem/receive"
	"github.com/1fb4ed1c/tandem/tracked"
)

// Timer is a set of timers with one handler. Timers are tracked state: armed in a call that succeeds, they fire once, on
// whichever member is primary then (NonStop: timers die with the primary and must be armed again after a takeover, Guardian
// Programmer's Guide 27-4; here they need not).
type Timer[T any] struct {
	t     *timers
	codec codec.Codec[T]
}

type timers struct {
	svc    *Service
	method string
	next   *tracked.Counter
	armed  *tracked.Map[uint64, armedTimer]
	due    dueHeap // may hold timers that are not armed any more
}

// armedTimer is one timer. Its time is that of CLOCK_MONOTONIC, which no clock setting moves.
type armedTimer struct {
	At  int64  `msgpack:"at"` // nanoseconds
	Arg []byte `msgpack:"arg"`
}

// NewTimer declares a set of timers whose handler is f. It runs like a request: an error undoes its changes, though not
// the firing.
func NewTimer[T any](s *Service, name string, f func(c *Call, arg T) error) *Timer[T] {
	t := &timers{svc: s, method: timerMethod(name), next: Counter(s, "timer/"+name+"/next"), armed: Map[uint64, armedTimer](s, "timer/"+name)}
	s.timers = append(s.timers, t)
	arg := codec.For[T]()
	Handle(s, t.method, func(c *Call, id uint64) (struct{}, error) {
		a, ok := t.armed.Lookup(id)
		if !ok || c.opener != 0 {
			return struct{}{}, fmt.Errorf("no timer %d: %w", id, receive.ErrInvalidOperation)
		}
		t.armed.Delete(id)
		v, _, err := arg.Decode(a.Arg)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, f(c, v)
	})
	return &Timer[T]{t: t, codec: arg}
}

func timerMethod(name string) string { return "timer\x00" + name }

// After arms a timer within call c: its handler gets arg after d, counted from the time of the call. It returns the timer's number.
func (t *Timer[T]) After(c *Call, d time.Duration, arg T) (uint64, error) {
	b, err := t.codec.Append(nil, arg)
	if err != nil {
		return 0, fmt.Errorf("cannot arm a timer: %w", err)
	}
	id := uint64(t.t.next.Add(1))
	at := c.mono + d
	t.t.armed.Set(id, armedTimer{At: int64(at), Arg: b})
	t.t.schedule(id, at)
	return id, nil
}

// Cancel disarms a timer within a call. It reports whether the timer was armed.
func (t *Timer[T]) Cancel(_ *Call, id uint64) bool { return t.t.armed.Delete(id) }

// Len returns how many timers are armed.
func (t *Timer[T]) Len() int { return t.t.armed.Len() }

func (t *timers) schedule(id uint64, at time.Duration) {
	if t.svc.m == nil || !t.svc.m.serving {
		return // armTimers finds it
	}
	heap.Push(&t.due, dueTimer{at, id})
	t.svc.m.wakeAt(max(at, 1))
}

// armTimers finds all timers of a new primary.
func (s *Service) armTimers() {
	for _, t := range s.timers {
		t.due = t.due[:0]
		for id, a := range t.armed.All() {
			t.due = append(t.due, dueTimer{time.Duration(a.At), id})
		}
		heap.Init(&t.due)
		if len(t.due) > 0 {
			s.m.wakeAt(max(t.due[0].at, 1))
		}
	}
}

// timersAtOnce bounds the timers fired in one round, so that requests get their turn.
const timersAtOnce = 64

// suspectPause is the time between two looks whether a timer that a primary died of may be fired: see mustWait.
const suspectPause = 5 * time.Millisecond

// fireTimers runs what is due and returns when the next one will be.
func (s *Service) fireTimers(now time.Duration) (next time.Duration) {
	for _, t := range s.timers {
		waits := false
		for n := 0; len(t.due) > 0 && t.due[0].at <= now && n < timersAtOnce; n++ {
			if waits = s.m.mustWait(0, t.due[0].id) && !s.m.poisonous(0, t.due[0].id); waits {
				break
			}
			t.fire(heap.Pop(&t.due).(dueTimer))
		}
		if len(t.due) == 0 {
			continue
		}
		at := max(t.due[0].at, 1)
		if waits {
			at = now + suspectPause
		}
		if next == 0 || at < next {
			next = at
		}
	}
	return next
}

// fire runs one timer, if it is still armed for this time.
func (t *timers) fire(d dueTimer) {
	s := t.svc
	a, ok := t.armed.Lookup(d.id)
	if !ok || a.At != int64(d.at) {
		return
	}
	body := codecUint64(d.id)
	r := requestRecord{id: d.id, wall: s.m.wall(), mono: int64(s.m.now), seed: d.id, method: []byte(t.method), body: body}
	if s.m.poisonous(0, d.id) {
		s.m.log.Error("a timer that killed two primaries is disarmed", "timer", t.method, "number", d.id)
	} else {
		code, survived := s.runAlone(&r)
		if !survived {
			s.ship(&r, code)
		}
		if code == 0 {
			return
		}
		s.m.log.Warn("a timer's handler failed", "timer", t.method, "number", d.id, "error", string(s.out))
	}
	s.disarm(t, d.id)
}

// disarm removes a timer whose handler failed: with a record of its own, since the handler's changes are undone.
func (s *Service) disarm(t *timers, id uint64) {
	muted := !s.store.Walking() && s.store.Mute(false) // the other member has to hear of this change in every mode
	s.store.Begin()
	t.armed.Delete(id)
	s.store.Commit()
	if s.m.writing() {
		s.write(kindCommit, &commitRecord{changes: s.store.Changes()})
	}
	if muted {
		s.store.Mute(true)
	}
}

// codecUint64 is msgpack for a timer's number.
func codecUint64(v uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{0xcf}, v)
}

type dueTimer struct {
	at time.Duration
	id uint64
}

// dueHeap is a container/heap of timers, the next one first; among equals the one armed first.
type dueHeap []dueTimer

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].id < h[j].id
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(dueTimer)) }

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	*h = old[:len(old)-1]
	return d
}

var _ heap.Interface = (*dueHeap)(nil)
