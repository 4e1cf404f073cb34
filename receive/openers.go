package receive

import (
	"fmt"
	"iter"
	"slices"
)

// Verdict is what a server must do with a request of an opener.
type Verdict uint8

const (
	// Run: the ID is new. Begin it, run it, Save its reply.
	Run Verdict = iota + 1
	// Saved: it has been run; answer with the saved reply.
	Saved
	// Running: it is being run; send the reply to the newer tag and release the older one.
	Running
	// TooOld: it was run and its reply is forgotten, or it comes after its turn. Never run it.
	TooOld
	// WrongID: no such open. Answer ErrWrongID.
	WrongID
)

// String returns the verdict's name.
func (v Verdict) String() string {
	names := [...]string{"none", "run", "saved", "running", "too old", "wrong ID"}
	if int(v) >= len(names) {
		return fmt.Sprintf("verdict %d", uint8(v))
	}
	return names[v]
}

// MaxDepth bounds the sync depth and the window an opener may ask for, in requests.
const MaxDepth = 4096

// Identity is what a server knows of an opener.
type Identity struct {
	ID     uint64 // number of the open, never used twice in an instance
	Cookie uint64 // secret of the open: who shows it may resume the open on another connection
	Depth  int    // sync depth: how many replies are kept, 0..MaxDepth
	Window int    // how many requests may be under way, 0..MaxDepth; 0 means Depth
	UID    uint32 // user of the requester
	PID    int    // process of the requester
	Name   string // the requester's name for itself, if any
}

func (w *Identity) check() error {
	if w.Depth < 0 || w.Depth > MaxDepth || w.Window < 0 || w.Window > MaxDepth {
		return fmt.Errorf("cannot open with sync depth %d and window %d, the limit is %d: %w", w.Depth, w.Window, MaxDepth, ErrBadRequest)
	}
	return nil
}

// Openers is the table of those who have a server open. It is part of the
// state of a pair. The zero value is an empty table without limit.
type Openers struct {
	Max  int // most opens at a time; 0 means no limit
	last uint64
	byID map[uint64]*Opener
	byCk map[uint64]*Opener
}

// Open adds an opener and returns its entry. Without an ID it gets the next
// free one; the backup passes the ID that the primary gave. An open is itself a
// request that may be repeated: one with the cookie and user of an entry gets
// that entry. ErrInUse: the table is full. ErrBadRequest: depth or window out
// of range, or the ID is taken.
func (t *Openers) Open(who Identity) (*Opener, error) {
	if o := t.byCk[who.Cookie]; o != nil && who.Cookie != 0 && o.UID == who.UID && (who.ID == 0 || who.ID == o.ID) {
		return o, nil
	}
	if err := who.check(); err != nil {
		return nil, err
	}
	if t.Max > 0 && len(t.byID) >= t.Max {
		return nil, fmt.Errorf("cannot add opener %d: %w", len(t.byID)+1, ErrInUse)
	}
	if who.ID == 0 {
		who.ID = t.last + 1
	}
	if t.byID[who.ID] != nil {
		return nil, fmt.Errorf("cannot add opener with ID %d, which is taken: %w", who.ID, ErrBadRequest)
	}
	o := newOpener(who)
	if t.byID == nil {
		t.byID, t.byCk = make(map[uint64]*Opener), make(map[uint64]*Opener)
	}
	t.byID[who.ID] = o
	if who.Cookie != 0 {
		t.byCk[who.Cookie] = o
	}
	t.last = max(t.last, who.ID)
	return o, nil
}

// Resume returns the entry of an open that its requester goes on with, on a
// new connection or in its own backup. ErrWrongID: there is none, or cookie or
// user are not its own.
func (t *Openers) Resume(id, cookie uint64, uid uint32) (*Opener, error) {
	o := t.byID[id]
	if o == nil || o.Cookie != cookie || o.UID != uid {
		return nil, fmt.Errorf("cannot resume open %d: %w", id, ErrWrongID)
	}
	return o, nil
}

// Lookup returns the entry with this ID, or nil.
func (t *Openers) Lookup(id uint64) *Opener { return t.byID[id] }

// Decide is Opener.Decide on the entry with this ID, or WrongID if there is none.
func (t *Openers) Decide(opener, id, low uint64) Verdict {
	if o := t.byID[opener]; o != nil {
		return o.Decide(id, low)
	}
	return WrongID
}

// Close removes an opener and its saved replies; false if there was none.
func (t *Openers) Close(id uint64) bool {
	o := t.byID[id]
	if o == nil {
		return false
	}
	delete(t.byID, id)
	if t.byCk[o.Cookie] == o {
		delete(t.byCk, o.Cookie)
	}
	return true
}

// Len returns the number of openers.
func (t *Openers) Len() int { return len(t.byID) }

// Last returns the highest ID ever given. A new backup must know it (SetLast),
// or it would give an ID a second time.
func (t *Openers) Last() uint64 { return t.last }

// SetLast raises the highest ID ever given.
func (t *Openers) SetLast(id uint64) { t.last = max(t.last, id) }

// All iterates over the openers in the order of their IDs. The table may be
// changed meanwhile: openers closed since are left out, new ones too.
func (t *Openers) All() iter.Seq[*Opener] {
	return func(yield func(*Opener) bool) {
		ids := make([]uint64, 0, len(t.byID))
		for id := range t.byID {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for _, id := range ids {
			if o := t.byID[id]; o != nil && !yield(o) {
				return
			}
		}
	}
}
