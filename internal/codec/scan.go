package codec

import (
	"encoding/binary"
	"slices"
)

// Skip returns what follows the first value of b. It reads every header inside the value, so that a nil error means:
// all lengths are true, nothing is nested deeper than MaxDepth, and there are at most len(b) elements in all.
func Skip(b []byte) (rest []byte, err error) {
	n, err := skip(b, nil)
	if err != nil {
		return nil, err
	}
	return b[n:], nil
}

// skip returns the length of the first value of b. Offsets of extension bodies that are not MessagePack themselves are
// added to traps, see source. A body is never searched for further extensions, so the time is linear.
func skip(b []byte, traps *[]int) (int, error) {
	var room [16]int
	open := room[:0] // for each open array or map, how many of its elements are still to come
	at := 0
	for {
		t, err := readToken(b[at:])
		if err != nil {
			return 0, err
		}
		if t.ext && traps != nil && trapped(b[at+t.head:at+t.size]) {
			*traps = append(*traps, at+t.head+1)
		}
		at += t.size
		if t.elements > 0 {
			if len(open) == MaxDepth {
				return 0, ErrTooDeep
			}
			open = append(open, t.elements)
			continue
		}
		for len(open) > 0 {
			if open[len(open)-1]--; open[len(open)-1] > 0 {
				break
			}
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return at, nil
		}
	}
}

// A token is one header and, except for arrays and maps, what it announces.
type token struct {
	size     int  // bytes of all of it
	head     int  // bytes before the content; the type of an extension counts as content
	elements int  // values that follow: of an array, twice as many for a map
	ext      bool // an extension
}

// headers holds, for first bytes bin8 to map32, the number of bytes that hold a length.
var headers = [...]uint8{
	0: 1, bin16 - bin8: 2, bin32 - bin8: 4, ext8 - bin8: 1, ext16 - bin8: 2, ext32 - bin8: 4,
	str8 - bin8: 1, str16 - bin8: 2, str32 - bin8: 4, array16 - bin8: 2, array32 - bin8: 4,
	map16 - bin8: 2, map32 - bin8: 4,
}

func readToken(b []byte) (t token, err error) {
	if len(b) == 0 {
		return t, ErrTruncated
	}
	c := b[0]
	content := uint64(0)
	t.head = 1
	switch {
	case c < fixMap || c >= fixNeg || c == cNil || c == cFalse || c == cTrue:
	case c < fixArray:
		t.elements = 2 * int(c&15)
	case c < fixStr:
		t.elements = int(c & 15)
	case c < cNil:
		content = uint64(c & 31)
	case c < bin8: // 0xc1 is "never used"
		return t, unfit(b, "a value")
	case c == float32c || c == float64c:
		content = 4 << (c - float32c)
	case c >= uint8c && c <= int64c:
		content = 1 << ((c - uint8c) & 3)
	case c >= fixExt1 && c <= fixExt16:
		content, t.ext = 1+1<<(c-fixExt1), true
	default:
		return readLong(b)
	}
	if content > uint64(len(b)-t.head) {
		return t, ErrTruncated
	}
	t.size = t.head + int(content)
	return t, nil
}

// readLong reads the tokens whose length has bytes of its own.
func readLong(b []byte) (t token, err error) {
	c := b[0]
	width := int(headers[c-bin8])
	t.head = 1 + width
	if len(b) < t.head {
		return t, ErrTruncated
	}
	var n uint64
	switch width {
	case 1:
		n = uint64(b[1])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b[1:]))
	}
	switch {
	case c >= map16:
		t.elements, n = 2*int(n), 0
	case c >= array16:
		t.elements, n = int(n), 0
	case c >= ext8 && c <= ext32:
		t.ext = true
		n++ // its type
	}
	if n > uint64(len(b)-t.head) {
		return t, ErrTruncated
	}
	t.size = t.head + int(n)
	return t, nil
}

// interned is the extension type of msgpack/v5 for strings it has seen before.
const interned = 0x80

// trapped reports whether the bytes of an extension (its type first) must not be read as MessagePack.
func trapped(ext []byte) bool {
	kind, body := ext[0], ext[1:]
	if kind == interned && len(body) == 1 { // an index, read with ReadByte
		return body[0] == map16 || body[0] == map32
	}
	for len(body) > 0 {
		n, err := skip(body, nil)
		if err != nil || hasExt(body[:n]) {
			return true
		}
		body = body[n:]
	}
	return false
}

// hasExt reports whether an extension is anywhere in the value b, which is known to be well formed.
func hasExt(b []byte) bool {
	for at := 0; at < len(b); {
		t, err := readToken(b[at:])
		if err != nil || t.ext {
			return true
		}
		at += t.size
	}
	return false
}

// source is what msgpack/v5 reads from. Its DecodeMapLen takes an extension for the header of a map and goes on
// reading inside the extension's body, which nobody has checked; so the first byte of a body that is no MessagePack
// is a trap: it may be read as content, with Read, but not as a header, with ReadByte.
type source struct {
	b     []byte
	at    int
	traps []int // ascending
}

var errTrap = unfit([]byte{ext8}, "a map")

func (s *source) ReadByte() (byte, error) {
	if s.at >= len(s.b) {
		return 0, ErrTruncated
	}
	if len(s.traps) > 0 && s.trap() {
		return 0, errTrap
	}
	s.at++
	return s.b[s.at-1], nil
}

func (s *source) trap() bool {
	_, found := slices.BinarySearch(s.traps, s.at)
	return found
}

// UnreadByte is called after a ReadByte only.
func (s *source) UnreadByte() error {
	s.at--
	return nil
}

func (s *source) Read(p []byte) (int, error) {
	if s.at >= len(s.b) && len(p) > 0 {
		return 0, ErrTruncated
	}
	n := copy(p, s.b[s.at:])
	s.at += n
	return n, nil
}
