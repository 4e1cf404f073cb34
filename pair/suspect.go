package pair

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/1fb4ed1c/tandem/internal/wire"
	"github.com/1fb4ed1c/tandem/receive"
)

// A request that was in hand when a primary died may be what it died of. It is tried a second time; but a second death with no
// backup yet would be the end of the instance. So one whose handler may have hung, or ended the process in a way that
// nobody can catch, waits until the pair is protected again. A panic can be caught: such a request is tried at once,
// and refused if it panics again. A third primary refuses it in any case. What a SIGKILL from outside interrupted is not suspected
// of anything; it counts all the same, since the kernel kills in this way too when memory runs out.

// blamed finds out which request the old primary died of, and how many primaries in a row.
func (m *member) blamed(l *link) (blame, int) {
	p := l.page
	b := p.inHand
	if b.none() || m.takeover == nil || m.takeover.planned {
		return blame{}, 0
	}
	if c := m.seats.of[b.opener]; c != nil && c.stream != nil && c.stream.in >= b.id {
		return blame{}, 0
	}
	if o := m.openers.Lookup(b.opener); o != nil {
		if _, _, done := o.Saved(b.id); done {
			return blame{}, 0
		}
	}
	m.innocent = m.takeover.cause == causePanic || m.takeover.cause == causeDeath && l.peer.KilledBy() == unix.SIGKILL
	if b == p.suspect {
		return b, int(p.suspectCount) + 1
	}
	return b, 1
}

// mustWait tells whether a request is to wait until the pair is protected. A pair that starts no backups by itself has
// nothing to wait for.
func (m *member) mustWait(opener, id uint64) bool {
	return m.deaths > 0 && !m.innocent && m.suspect == blame{opener, id} && m.roles.partner != synced && m.roles.spawning
}

// poisonous tells whether a request has killed two primaries in a row: a third does not try it (design §7).
func (m *member) poisonous(opener, id uint64) bool {
	return m.deaths >= 2 && m.suspect == blame{opener, id}
}

// parking holds a request that waits until the pair is protected, and those of the same open that came after it: requests
// of one open are handled in order.
type parking struct {
	opener uint64 // 0: nothing waits
	frames []wire.Frame
}

// parks keeps a request for later if it must wait.
func (s *Service) parks(opener uint64, f *wire.Frame) bool {
	p := &s.parked
	switch {
	case p.opener == opener && opener != 0:
		if f.ID <= p.frames[len(p.frames)-1].ID {
			return true // repeated: it waits already
		}
	case s.m.mustWait(opener, f.ID):
		s.m.log.Warn("a request that a primary died of waits for the new backup", "method", string(f.Method), "opener", opener, "sync_id", f.ID)
		p.opener = opener
	default:
		return false
	}
	kept := *f
	kept.Method, kept.Body = bytes.Clone(f.Method), bytes.Clone(f.Body)
	p.frames = append(p.frames, kept)
	return true
}

// notify tells the attendant of opens that have ended, and goes on, once the pair is protected, with what had to wait for that.
func (s *Service) notify(msg receive.System) {
	if closed, ok := msg.(receive.Close); ok {
		s.attendClosed(closed)
	}
	if _, ok := msg.(receive.BackupSynchronised); !ok {
		return
	}
	s.unparkStream()
	if s.parked.opener == 0 {
		return
	}
	p := s.parked
	s.parked = parking{}
	c := s.m.seats.of[p.opener]
	if c == nil {
		return // its requester comes back with it
	}
	for i := range p.frames {
		s.m.request(c, &p.frames[i])
	}
}

// survivor is what becomes of a panic while there is no backup.
type survivor struct {
	wants    bool // the call that runs may be undone and forgotten
	survived bool // it was
}

// runAlone is run for a primary that might be alone: if the handler panics then, the call is undone, and this process lives
// on, for its death would be the end of the instance.
func (s *Service) runAlone(r *requestRecord) (code int64, survived bool) {
	s.survivor = survivor{wants: s.m.roles.partner != synced}
	code = s.run(r)
	survived = s.survivor.survived
	s.survivor = survivor{}
	return code, survived
}

// survives tells whether this process lives on after the panic p.
func (s *Service) survives(p any) bool {
	if !s.survivor.wants {
		return false
	}
	s.survivor.survived = true
	s.m.inHand(blame{})
	s.m.log.Error("a handler panicked, and there is no backup to take over", "method", s.call.method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return true
}

// panicked deals with a request whose panic this process has survived: the first time it is tried again when there is a backup.
func (s *Service) panicked(c *conn, f *wire.Frame) {
	m, b := s.m, blame{c.opener.ID, f.ID}
	if m.deaths == 0 || m.suspect != b {
		m.suspect, m.deaths, m.innocent = b, 1, false
		if s.parks(b.opener, f) {
			return
		}
	}
	s.refusePoison(c, f)
}

// refusePoison answers a request that is not run any more.
func (s *Service) refusePoison(c *conn, f *wire.Frame) {
	code, text := receive.Describe(receive.ErrPoison)
	s.m.log.Error("a request that kills its server is refused", "method", string(f.Method), "opener", c.opener.ID, "sync_id", f.ID)
	s.out = append(s.out[:0], text...)
	s.finish(&commitRecord{opener: c.opener.ID, id: f.ID, low: f.Low, code: int64(code), reply: s.out})
	s.m.reply(c, f.ID, int64(code), s.out)
}
