package checkpoint

import (
	"encoding/binary"
	"unsafe"
)

// Append is Reserve, a copy of the payload, and Commit. See Appender. The checksum is taken from the source, and need not wait
// for the copy to arrive in the ring; but the ring is written first, so that its cold cache lines are on their way meanwhile.
func (w *Writer) Append(kind Kind, payload []byte) error {
	n := uint64(len(payload))
	size := uint64(recordSize(len(payload)))
	if w.due != 0 || n > w.maxPayload || w.head+size > w.limit || kind == 0 {
		return w.appendSlowly(kind, payload)
	}
	w.seq++
	rec := unsafe.Add(w.ring, w.head&w.mask) // the ring is mapped twice: size bytes from here are in it
	h := (*[recordHeader]byte)(rec)
	binary.LittleEndian.PutUint64(h[0:], uint64(kind)<<32|n)
	binary.LittleEndian.PutUint64(h[8:], w.epochWord)
	binary.LittleEndian.PutUint64(h[16:], w.seq)
	copy(unsafe.Slice((*byte)(unsafe.Add(rec, recordHeader)), n), payload)
	binary.LittleEndian.PutUint32(h[8:], sum(h, payload))
	w.head += size
	return w.Commit()
}

// appendSlowly does what has to come before, or is not for the short way.
func (w *Writer) appendSlowly(kind Kind, payload []byte) error {
	b, err := w.Reserve(kind, len(payload))
	if err != nil {
		return err
	}
	copy(b, payload)
	return w.Commit()
}
