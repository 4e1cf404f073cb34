package tracked

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

var (
	// ErrCorrupt means that changes or a chunk are not what a Store has written, or belong to another state.
	ErrCorrupt = errors.New("changes do not fit this state")
	// ErrSchema means that the other member tracks something that this one does not know, or not as the same kind.
	ErrSchema = errors.New("the members do not track the same state")
	// ErrBusy means that the Store is inside a call, or being walked, and cannot do this now.
	ErrBusy = errors.New("store is busy")
)

// A Store holds the tracked state of one member of a pair.
type Store struct {
	parts    []part
	names    map[string]uint32 // to the index in parts
	frozen   bool
	inCall   bool
	tracking bool     // parts remember what the next delta must carry
	changes  []byte   // of the call
	touched  []uint32 // parts the call has changed
	walking  bool
	muted    bool
	next     int      // the part the walk is at
	bound    []uint32 // the peer's indexes to ours; nil: the same
}

// NewStore returns an empty Store.
func NewStore() *Store { return &Store{names: make(map[string]uint32)} }

// op says what a change does; it shares a number with the index of its part.
type op uint8

const (
	opSet    op = iota // a value, or a key and a value; a counter's value is absolute
	opDelete           // a key
	opPush             // a value
	opPop              // how many
	opBits   = 2
)

// sentAll is the frontier of a part of which everything has been sent.
const sentAll = math.MaxUint64

// A part is one piece of the state.
type part interface {
	head() *header
	kind() kind
	commit()   // forget how to undo the call
	rollback() // undo the call
	apply(o op, b []byte) (rest []byte, err error)
	reset()     // back to what it was made with
	startWalk() // before its first element; the Store has set the frontier to 0
	// appendChunk appends elements from the frontier on, at least one if dst has only base bytes, and else only while
	// dst does not grow beyond limit.
	appendChunk(dst []byte, base, limit int) (out []byte, done bool, err error)
	rebase() // the next delta starts here
	dirty() int
	appendDelta(dst []byte) ([]byte, error)
	digest(d *digest)
}

// A header is what all parts have in common.
type header struct {
	s     *Store
	name  string
	index uint32
	used  bool // by this call
	kept  bool // not known here: see keep
	// frontier is the sequence number up to which, exclusive, elements of this part have been sent to the backup that
	// is being filled; changes to later ones are not shipped. Outside a walk it is sentAll.
	frontier uint64
}

func (h *header) head() *header { return h }

// change announces a change to the part. It reports whether that is inside a call, which must be able to undo it.
func (h *header) change() (inCall bool) {
	s := h.s
	if s.inCall {
		if !h.used {
			h.used = true
			s.touched = append(s.touched, h.index)
		}
		return true
	}
	if s.frozen {
		panic("cannot change " + h.name + " outside a handler")
	}
	return false
}

func (h *header) tag(dst []byte, o op) []byte {
	return binary.AppendUvarint(dst, uint64(h.index)<<opBits|uint64(o))
}

// unencodable ends a handler that has set something that cannot be sent. What it did can still be rolled back.
func (h *header) unencodable(err error) {
	panic(fmt.Errorf("cannot change %s: %w", h.name, err))
}

// register makes h the header of a new part whose content is of the given types.
func (s *Store) register(h *header, name string, p part, types ...reflect.Type) {
	refuse := func(why any) { panic(fmt.Sprintf("cannot track %q: %v", name, why)) }
	if s.frozen {
		refuse("the service is already running")
	}
	if s.inCall {
		refuse("inside a handler")
	}
	if name == "" {
		refuse("it has no name")
	}
	if _, taken := s.names[name]; taken {
		refuse("the name is taken")
	}
	for _, t := range types {
		if err := codec.Check(t); err != nil {
			refuse(err)
		}
	}
	*h = header{s: s, name: name, index: uint32(len(s.parts)), frontier: sentAll}
	s.names[name] = h.index
	s.parts = append(s.parts, p)
}

// Freeze ends the registration of parts. Until then they may be changed without a call, to set up an initial state;
// from then on only inside one. The first Begin freezes too.
func (s *Store) Freeze() {
	if s.frozen {
		return
	}
	s.frozen = true
	for _, p := range s.parts {
		p.commit()
	}
}

// Reset takes every part back to the value it was made with, before a fill. It ends a walk.
func (s *Store) Reset() {
	if s.inCall {
		panic("cannot reset the store inside a call")
	}
	s.StopWalk()
	for _, p := range s.parts {
		p.reset()
	}
	if s.tracking {
		s.TrackDirty(true)
	}
}
