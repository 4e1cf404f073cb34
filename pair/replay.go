package pair

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// replay is what BackupLazy adds: on the backup the records that have not been run yet, on the primary what a snapshot must
// bring. A snapshot is the changes that stand for all requests since the one before, and their replies; the backup
// applies it and forgets the requests.
type replay struct {
	on    bool // BackupLazy, and the backup holds the whole state
	kinds []recordKind
	ends  []int
	bytes []byte

	part    []byte    // backup: of a snapshot that is not complete
	count   int       // primary: requests answered since the last snapshot
	replies []blame   // primary: those of opens
	streams []*stream // primary: connections that had any
}

func (r *replay) reset() {
	*r = replay{on: r.on, kinds: r.kinds[:0], ends: r.ends[:0], bytes: r.bytes[:0], part: r.part[:0], replies: r.replies[:0], streams: r.streams[:0]}
}

// later tells whether a record is only kept for now.
func (r *replay) later(kind recordKind) bool {
	return r.on && (kind == kindRequest || kind == kindCommit || kind == kindInput)
}

// answered notes, on the primary, that the next snapshot must bring the reply to a request, or what became of a stream.
func (s *Service) answered(opener, id uint64) {
	r := &s.replay
	if !r.on {
		return
	}
	r.count++
	if !isStream(opener) {
		r.replies = append(r.replies, blame{opener, id})
	} else if c := s.m.seats.of[opener]; c != nil && !c.stream.noted {
		c.stream.noted = true
		r.streams = append(r.streams, c.stream)
	}
}

func (r *replay) keep(kind recordKind, b []byte) {
	r.bytes = append(r.bytes, b...)
	r.kinds = append(r.kinds, kind)
	r.ends = append(r.ends, len(r.bytes))
}

// all runs what was kept.
func (r *replay) all(s *Service) error {
	from := 0
	for i, kind := range r.kinds {
		b := r.bytes[from:r.ends[i]]
		from = r.ends[i]
		var err error
		switch kind {
		case kindCommit:
			err = s.applyCommit(b)
		case kindInput:
			err = s.applyInput(b)
		default:
			err = s.applyRequest(b)
		}
		if err != nil {
			return fmt.Errorf("cannot replay record %d of %d: %w", i+1, len(r.kinds), err)
		}
	}
	r.reset()
	r.on = false
	return nil
}

// A snapshot is cut into parts that fit the log. Each begins with one byte: 1 for the last part.
// All of them together are the length of the changes (4 bytes), the changes, then the replies as commit records, each after its length (4 bytes).
const deltaHeader = 1

// snapshot writes the snapshot that is due. Between calls only: it must see the changes of whole calls.
func (s *Service) snapshot() error {
	p := &s.replay
	b := append(s.chunk[:0], 0, 0, 0, 0)
	b, err := s.store.AppendDelta(b)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	b = s.appendReplies(b)
	s.chunk = b
	p.replies, p.streams, p.count = p.replies[:0], p.streams[:0], 0
	for most := s.cfg.LogSize/8 - deltaHeader; ; {
		n := min(len(b), most)
		room := s.m.reserve(kindDelta, deltaHeader+n)
		if room == nil {
			return nil // no backup any more
		}
		room[0] = 0
		if n == len(b) {
			room[0] = 1
		}
		copy(room[deltaHeader:], b[:n])
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
}

func (s *Service) appendReplies(b []byte) []byte {
	for _, q := range s.replay.replies {
		o := s.m.openers.Lookup(q.opener)
		if o == nil {
			continue
		}
		code, reply, ok := o.Saved(q.id)
		if !ok {
			continue // forgotten: the requester has it
		}
		b = appendCommit(b, &commitRecord{opener: q.opener, id: q.id, code: code, reply: reply})
	}
	for _, st := range s.replay.streams {
		st.noted = false
		if s.m.seats.of[st.id] != nil { // else it has ended
			r := st.record(st.tail, st.held, false)
			b = appendCommit(b, &r)
		}
	}
	return b
}

// appendCommit appends a record after its length.
func appendCommit(b []byte, r *commitRecord) []byte {
	n := r.size()
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	at := len(b)
	b = slices.Grow(b, n)[:at+n]
	r.put(b[at:])
	return b
}

// applyDelta takes one part of a snapshot.
func (s *Service) applyDelta(b []byte) error {
	if len(b) < deltaHeader {
		return fmt.Errorf("cannot read a snapshot: %w", errMalformedRecord)
	}
	p := &s.replay
	p.part = append(p.part, b[deltaHeader:]...)
	if b[0] == 0 {
		return nil
	}
	b = p.part
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return fmt.Errorf("cannot read a snapshot of %d bytes: %w", len(b), errMalformedRecord)
	}
	n := int(binary.LittleEndian.Uint32(b))
	if err := s.store.Apply(b[4 : 4+n]); err != nil {
		return err
	}
	for b = b[4+n:]; len(b) > 0; {
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return fmt.Errorf("cannot read the replies of a snapshot: %w", errMalformedRecord)
		}
		n := int(binary.LittleEndian.Uint32(b))
		var r commitRecord
		if err := r.parse(b[4 : 4+n]); err != nil {
			return err
		}
		if err := s.applySnapshotReply(&r); err != nil {
			return err
		}
		b = b[4+n:]
	}
	p.reset()
	return nil
}

func (s *Service) applySnapshotReply(r *commitRecord) error {
	if isStream(r.opener) {
		return s.restoreStream(r)
	}
	s.m.save(r.opener, r.id, r.low, r.code, r.reply)
	return nil
}
