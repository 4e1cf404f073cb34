package tracked

import "github.com/1fb4ed1c/tandem/internal/codec"

// Digest returns a number for the whole content, in order of iteration. Stores whose parts have the same names and
// equal content have equal digests; different content makes equal digests only by a chance of about 2^-64. The order in which parts
// were registered, and the order inside Go maps that are part of a value, do not count.
func (s *Store) Digest() uint64 {
	var sum uint64
	d := new(digest)
	for _, p := range s.parts {
		d.h = codec.Mix(uint64(p.kind()), 0)
		for _, c := range []byte(p.head().name) {
			d.h = codec.Mix(d.h, uint64(c))
		}
		p.digest(d)
		sum += codec.Mix(d.h, 1)
	}
	return sum
}

// digest is a running hash.
type digest struct {
	h   uint64
	buf []byte
}

// addTo adds a value to d by its encoding. A value that has none, because it was modified in place, counts by its error.
func addTo[T any](d *digest, c codec.Codec[T], v T) {
	var err error
	d.buf, err = c.Append(d.buf[:0], v)
	if err != nil {
		d.buf = append(d.buf[:0], err.Error()...)
	}
	d.h = codec.Mix(d.h, codec.Sum(d.buf))
}
