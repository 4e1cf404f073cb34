package receive

// Opener is the entry of one open: what has been run for it, and the replies.
//
// The requester numbers its requests 1, 2, 3… (sync IDs) and keeps the number
// when it repeats one. The entry has room for as many replies as the sync depth
// or the window asks for, in slots that take turns: ID modulo slots. Everything
// at or below the mark has had its turn: what is still in its slot is answered
// from there, anything else is too old and never run. The mark is raised by the
// requester, which says what it no longer waits for, and by each new ID, which
// takes the slot of the ID one round before.
//
// With depth 1 this is NonStop's comparison of two counters (Guardian
// Programmer's Guide 21-6). With more it differs in one point: an ID above the
// mark that was not seen is new even if a higher one has been answered, because
// a server that runs several requests at once may finish them in any order.
//
// Exactly-once holds for a requester that never uses an ID as far as the sync
// depth above one it may still repeat. One that goes further finds its old ID
// too old, not run twice (NonStop's broken depth contract, 21-7).
type Opener struct {
	Identity
	mark  uint64
	slots []slot
}

type slotState uint8

const (
	slotEmpty   slotState = iota
	slotRunning           // begun, not ended
	slotSaved             // ended, the reply is here
	slotSpent             // ended, the reply was not kept (sync depth 0)
)

type slot struct {
	id    uint64
	code  int64
	reply []byte
	state slotState
}

// A slot gives a buffer back that is above bigReply and four times what it needs.
const bigReply = 4 << 10

func newOpener(who Identity) *Opener {
	if who.Window == 0 {
		who.Window = max(who.Depth, 1)
	}
	return &Opener{Identity: who, slots: make([]slot, max(who.Depth, who.Window))}
}

func (o *Opener) slot(id uint64) *slot { return &o.slots[id%uint64(len(o.slots))] }

// Decide says what to do with request id of a requester that waits for no
// reply below low. It remembers low, and nothing else: follow a Run with Begin.
func (o *Opener) Decide(id, low uint64) Verdict {
	if low = min(low, id); low > o.mark+1 {
		o.mark = low - 1
	}
	if s := o.slot(id); s.id == id {
		switch s.state {
		case slotSaved:
			return Saved
		case slotRunning:
			return Running
		case slotSpent:
			return TooOld
		}
	}
	if id <= o.mark {
		return TooOld
	}
	return Run
}

// Begin marks a request as running. Only for IDs that Decide found to be new.
func (o *Opener) Begin(id uint64) {
	s := o.take(id)
	if s != nil {
		s.state = slotRunning
	}
}

// Save keeps a copy of the reply to request id; the request need not have been
// begun here (a backup learns of it when it is over). It allocates nothing once
// the slots have grown to the size of the replies.
func (o *Opener) Save(id uint64, code int64, reply []byte) {
	s := o.take(id)
	if s == nil {
		return
	}
	if o.Depth == 0 {
		s.state = slotSpent
		return
	}
	if cap(s.reply) > bigReply && cap(s.reply)/4 > len(reply) {
		s.reply = nil
	}
	s.reply = append(s.reply[:0], reply...)
	s.code, s.state = code, slotSaved
}

// take gives the slot of id to id, and raises the mark to one round below it;
// nil if a later ID has the slot.
func (o *Opener) take(id uint64) *slot {
	s := o.slot(id)
	if id == 0 || s.id > id {
		return nil
	}
	if n := uint64(len(o.slots)); id > n {
		o.mark = max(o.mark, id-n)
	}
	s.id = id
	return s
}

// Saved returns the saved reply to request id. It is valid until the next Save.
func (o *Opener) Saved(id uint64) (code int64, reply []byte, ok bool) {
	s := o.slot(id)
	if s.id != id || s.state != slotSaved {
		return 0, nil, false
	}
	return s.code, s.reply, true
}

// Drop forgets that request id is running: it ended without a result, and may
// be run when it is repeated.
func (o *Opener) Drop(id uint64) {
	if s := o.slot(id); s.id == id && s.state == slotRunning {
		s.state = slotEmpty
	}
}

// DropRunning forgets every running request, as a new primary does with what
// the old one had begun.
func (o *Opener) DropRunning() {
	for i := range o.slots {
		o.Drop(o.slots[i].id)
	}
}

// Reset forgets all IDs and replies: the requester starts over with 1
// (RESETSYNC, system message -34). None of its requests may be running.
func (o *Opener) Reset() {
	o.mark = 0
	clear(o.slots)
}
