package checkpoint

import (
	"encoding/binary"
	"unsafe"
)

// Append is Reserve, a copy of the payload, and Commit. See Appender. Copy and checksum are one pass. The header is written
// first, so that the cold cache lines of the ring are on their way meanwhile.
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
	binary.LittleEndian.PutUint32(h[8:], copySum((*byte)(unsafe.Add(rec, recordHeader)), h, payload))
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
