package receive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// An encoded opener, or part of one, is
//
//	version (1) | ID | cookie | depth | window | UID | PID | mark | name
//	then for each reply: ID | code | reply
//
// all numbers as varints, name and reply after their length. A reply that was
// not kept (depth 0) is an ID alone with the code spentCode and no bytes.

const (
	openerVersion = 1
	spentCode     = math.MinInt64
)

var errOpenerData = errors.New("malformed opener")

// AppendTo appends the opener with all its saved replies, for a new backup.
func (o *Opener) AppendTo(dst []byte) []byte {
	dst, _ = o.AppendPart(dst, 0, math.MaxInt)
	return dst
}

// AppendPart appends a part of the opener: its identity and the replies of
// slots from the given one on, until about size bytes are appended, but at
// least one. It returns the slot to go on with, 0 after the last. Start with slot 0.
//
// The requests go on meanwhile: a reply saved between two parts must reach the
// other member by itself, in the order in which it was saved.
func (o *Opener) AppendPart(dst []byte, from, size int) (out []byte, next int) {
	start := len(dst)
	dst = append(dst, openerVersion)
	for _, v := range [...]uint64{o.ID, o.Cookie, uint64(o.Depth), uint64(o.Window), uint64(o.UID), uint64(o.PID), o.mark, uint64(len(o.Name))} {
		dst = binary.AppendUvarint(dst, v)
	}
	dst = append(dst, o.Name...)
	for i, any := from, false; i < len(o.slots); i++ {
		s := &o.slots[i]
		if s.state != slotSaved && s.state != slotSpent {
			continue
		}
		if any && len(dst)-start+len(s.reply) > size {
			return dst, i
		}
		dst, any = s.appendTo(dst), true
	}
	return dst, 0
}

func (s *slot) appendTo(dst []byte) []byte {
	code, reply := s.code, s.reply
	if s.state == slotSpent {
		code, reply = spentCode, nil
	}
	dst = binary.AppendUvarint(dst, s.id)
	dst = binary.AppendVarint(dst, code)
	dst = binary.AppendUvarint(dst, uint64(len(reply)))
	return append(dst, reply...)
}

// Restore adds what AppendTo or AppendPart encoded. Parts of one opener may be
// mixed with its later replies (Save) in the order in which both were made. It
// never panics, and allocates no more than MaxDepth slots and the size of part.
func (t *Openers) Restore(part []byte) (*Opener, error) {
	r := reader{b: part}
	who, mark := r.identity()
	if r.bad {
		return nil, fmt.Errorf("cannot restore an opener: %w", errOpenerData)
	}
	o := t.byID[who.ID]
	if o == nil {
		var err error
		if o, err = t.Open(who); err != nil {
			return nil, fmt.Errorf("cannot restore opener %d: %w", who.ID, err)
		}
	}
	if o.Identity != who {
		return nil, fmt.Errorf("cannot restore opener %d: the table has another one: %w", who.ID, errOpenerData)
	}
	for len(r.b) > 0 {
		id, code, reply := r.uvarint(), r.varint(), r.bytes()
		if r.bad || id == 0 {
			return nil, fmt.Errorf("cannot restore opener %d: %w", who.ID, errOpenerData)
		}
		if code == spentCode && o.Depth != 0 {
			continue
		}
		o.Save(id, code, reply)
	}
	o.mark = max(o.mark, mark)
	return o, nil
}

// reader takes values off the front of b. After the first that is not there
// bad is set and everything reads as zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) identity() (who Identity, mark uint64) {
	if len(r.b) == 0 || r.b[0] != openerVersion {
		r.bad = true
		return who, 0
	}
	r.b = r.b[1:]
	who.ID, who.Cookie = r.uvarint(), r.uvarint()
	who.Depth, who.Window = r.int(MaxDepth), r.int(MaxDepth)
	who.UID, who.PID = uint32(r.int(math.MaxUint32)), r.int(math.MaxInt32)
	mark = r.uvarint()
	who.Name = string(r.bytes())
	r.bad = r.bad || who.ID == 0 || who.Window == 0
	return who, mark
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	return v * uint64(r.advance(n))
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	return v * int64(r.advance(n))
}

// advance skips n bytes and returns 1, or 0 if there are none to skip.
func (r *reader) advance(n int) int {
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return 1
}

func (r *reader) int(limit uint64) int {
	v := r.uvarint()
	if v > limit {
		r.bad = true
		return 0
	}
	return int(v)
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
