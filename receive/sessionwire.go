package receive

import (
	"fmt"
	"time"

	"github.com/1fb4ed1c/tandem/internal/wire"
)

// fill makes the next packet to send in the room of dst; it is empty if there
// is nothing to send. The caller completes it with wire.Finish.
func (s *session) fill(dst []byte) []byte {
	s.fresh = s.fresh[:0]
	if !s.up || len(s.queue)+len(s.cancels) == 0 {
		return dst[:0]
	}
	pkt := wire.Begin(dst[:0])
	empty := len(pkt)
	pkt = s.fillCancels(pkt)
	sent := 0
	for _, id := range s.queue {
		k := s.find(id)
		if k == nil || k.state != callActive {
			sent++
			continue
		}
		f := wire.Frame{Kind: wire.KindRequest, Priority: s.priority, ID: id, Low: s.low, Method: k.method, Body: k.body}
		if !wire.Fits(pkt, &f) {
			break
		}
		pkt, _ = wire.Append(pkt, &f) // the sizes were checked when the call started
		sent++
		if !k.sent {
			k.sent = true
			s.fresh = append(s.fresh, id)
		}
	}
	s.queue = s.queue[:copy(s.queue, s.queue[sent:])]
	if len(pkt) == empty {
		return pkt[:0]
	}
	return pkt
}

func (s *session) fillCancels(pkt []byte) []byte {
	n := 0
	for _, id := range s.cancels {
		f := wire.Frame{Kind: wire.KindCancel, ID: id}
		if !wire.Fits(pkt, &f) {
			break
		}
		pkt, _ = wire.Append(pkt, &f)
		n++
	}
	s.cancels = s.cancels[:copy(s.cancels, s.cancels[n:])]
	return pkt
}

// unsent takes the last fill back: its packet has not left this process. The
// connection is of no use; lost will follow.
func (s *session) unsent() {
	s.up = false
	for _, id := range s.fresh {
		if k := s.find(id); k != nil {
			k.sent = false
		}
	}
}

// packet takes in what a server has sent. The error means that it does not
// speak our language.
func (s *session) packet(p wire.Packet) error {
	var f, notice wire.Frame
	for {
		more, err := p.Next(&f)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		switch f.Kind {
		case wire.KindReply:
			s.replied(&f)
		case wire.KindWelcome:
			if err := s.welcome(f.Body); err != nil {
				return err
			}
		case wire.KindRefuse:
			s.refused(f.Code(), string(f.Body))
		case wire.KindBye:
			s.bye(f.Code(), string(f.Body))
		case wire.KindNotice:
			notice = f
		}
	}
	// Last, so that what is answered in the same packet is not sent again.
	s.noticed(p.Epoch(), notice.Kind != 0, notice.Flags&wire.FlagPlanned != 0)
	return nil
}

// replied ends a call. Replies to calls that are over are second ones, after a
// takeover, and say nothing new.
func (s *session) replied(f *wire.Frame) {
	k := s.find(f.ID)
	if k == nil || k.state != callActive {
		return
	}
	code := f.Code()
	if (code == int64(codeOf(ErrOwnership)) || code == int64(codeOf(ErrOwnershipAborted))) && s.depth > 0 {
		k.turned, s.redial = true, true
		return
	}
	s.progress = true
	if code != 0 {
		s.done(k, answered(s.op(k), int(code), string(f.Body)))
		return
	}
	k.reply = append(k.reply[:0], f.Body...)
	s.done(k, nil)
}

// welcome makes the connection usable: everything unanswered goes over it.
func (s *session) welcome(body []byte) error {
	var w wire.Welcome
	if err := wire.Unmarshal(body, &w); err != nil {
		return err
	}
	if s.up || s.end != nil {
		return nil // the answer to a repeated hello
	}
	switch {
	case s.instance == "":
		if w.Instance == "" || w.Opener == 0 || w.Depth < 0 {
			return fmt.Errorf("welcome to instance %q as opener %d with depth %d", w.Instance, w.Opener, w.Depth)
		}
		s.instance, s.opener, s.cookie = w.Instance, w.Opener, w.Cookie
		s.depth = min(s.depth, w.Depth)
		s.limit()
	case w.Instance != s.instance || w.Opener != s.opener:
		s.finish(ErrWrongID, "", nil)
		return nil
	}
	s.epoch = max(s.epoch, w.Epoch)
	s.up, s.redial, s.greet = true, false, false
	if s.opening != nil {
		s.done(s.opening, nil)
	}
	s.each(func(k *call) { s.served(k) })
	for _, k := range s.waiting {
		s.served(k)
	}
	s.resend()
	return nil
}

func (s *session) served(k *call) {
	if !k.turned { // otherwise the time runs on until it really is served
		k.down = time.Time{}
	}
}

// resend queues every unanswered call, in the order of IDs.
func (s *session) resend() {
	s.queue = s.queue[:0]
	s.each(func(k *call) { s.queue = append(s.queue, k.id) })
}

// refused ends the open, if the server says that it does not exist; or the
// attempt to open.
func (s *session) refused(code int64, text string) {
	switch {
	case s.up || s.end != nil:
	case code == int64(codeOf(ErrWrongID)):
		s.finish(ErrWrongID, text, nil)
	case s.opening != nil && code != int64(codeOf(ErrOwnership)):
		k := s.opening
		s.done(k, answered(s.op(k), int(code), text))
	default:
		s.redial = true
	}
}

// bye ends the session: the pair stops as a whole, or wants no more of us.
func (s *session) bye(code int64, text string) {
	sentinel := ErrStopping
	if code == int64(codeOf(ErrWrongID)) {
		sentinel = ErrWrongID
	}
	s.finish(sentinel, text, nil)
}

// noticed learns the epoch of the speaker. A later one than we knew means that
// there is a new primary, which knows only what the old one had answered, unless
// the change was planned.
func (s *session) noticed(epoch uint32, notice, planned bool) {
	if !s.up {
		s.greet = s.greet || notice // the one who heard our hello is gone
		return
	}
	if epoch <= s.epoch {
		return
	}
	next := s.epoch + 1
	s.epoch = epoch
	switch {
	case planned && epoch == next: // it says nothing of changes before it
	case s.depth == 0:
		s.failSent()
	default:
		s.resend()
	}
}

// lost forgets the connection. Without sync depth its calls fail; those that
// were not sent yet, and all others, go over the next one.
func (s *session) lost() {
	s.up, s.greet, s.redial = false, false, false
	s.queue, s.cancels = s.queue[:0], s.cancels[:0]
	if s.depth == 0 {
		s.failSent()
	}
}

func (s *session) failSent() {
	s.each(func(k *call) {
		if k.sent {
			s.done(k, s.failure(k, ErrPathDown, nil))
		}
	})
}
