package codec

import (
	"encoding/binary"
	"fmt"
	"math"
)

// First bytes of the formats of MessagePack.
const (
	fixMap   = 0x80
	fixArray = 0x90
	fixStr   = 0xa0
	cNil     = 0xc0
	cFalse   = 0xc2
	cTrue    = 0xc3
	bin8     = 0xc4
	bin16    = 0xc5
	bin32    = 0xc6
	ext8     = 0xc7
	ext16    = 0xc8
	ext32    = 0xc9
	float32c = 0xca
	float64c = 0xcb
	uint8c   = 0xcc
	uint16c  = 0xcd
	uint32c  = 0xce
	uint64c  = 0xcf
	int8c    = 0xd0
	int16c   = 0xd1
	int32c   = 0xd2
	int64c   = 0xd3
	fixExt1  = 0xd4
	fixExt16 = 0xd8
	str8     = 0xd9
	str16    = 0xda
	str32    = 0xdb
	array16  = 0xdc
	array32  = 0xdd
	map16    = 0xde
	map32    = 0xdf
	fixNeg   = 0xe0
)

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, cTrue)
	}
	return append(dst, cFalse)
}

func appendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, int8c, byte(v))
	case v >= math.MinInt16:
		return append(dst, int16c, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, int32c), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, int64c), uint64(v))
	}
}

func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v <= math.MaxInt8:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, uint8c, byte(v))
	case v <= math.MaxUint16:
		return append(dst, uint16c, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, uint32c), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, uint64c), v)
	}
}

func appendFloat32(dst []byte, v float32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, float32c), math.Float32bits(v))
}

func appendFloat64(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, float64c), math.Float64bits(v))
}

func appendString(dst []byte, v string) []byte {
	switch n := len(v); {
	case n < 32:
		dst = append(dst, fixStr|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, str8, byte(n))
	case n <= math.MaxUint16:
		dst = append(dst, str16, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, str32), uint32(n))
	}
	return append(dst, v...)
}

// appendBytes keeps nil and empty apart.
func appendBytes(dst []byte, v []byte) []byte {
	switch n := len(v); {
	case v == nil:
		return append(dst, cNil)
	case n <= math.MaxUint8:
		dst = append(dst, bin8, byte(n))
	case n <= math.MaxUint16:
		dst = append(dst, bin16, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, bin32), uint32(n))
	}
	return append(dst, v...)
}

// tooLong reports whether a string or byte slice of n bytes has no MessagePack form.
func tooLong(n int) bool { return uint64(n) > math.MaxUint32 }

func unfit(b []byte, want string) error {
	return fmt.Errorf("cannot read %s from a value that begins with %#02x: %w", want, b[0], ErrType)
}

func readBool(b []byte) (bool, []byte, error) {
	if len(b) == 0 {
		return false, nil, ErrTruncated
	}
	switch b[0] {
	case cTrue:
		return true, b[1:], nil
	case cFalse, cNil:
		return false, b[1:], nil
	}
	return false, nil, unfit(b, "a boolean")
}

// readNumber reads an integer of any format: v's bits, and whether they stand for a negative number.
func readNumber(b []byte) (v uint64, negative bool, rest []byte, err error) {
	if len(b) == 0 {
		return 0, false, nil, ErrTruncated
	}
	c := b[0]
	switch {
	case c <= math.MaxInt8:
		return uint64(c), false, b[1:], nil
	case c >= fixNeg:
		return uint64(int64(int8(c))), true, b[1:], nil
	case c == cNil: // as everywhere in msgpack/v5, nil reads as the zero value
		return 0, false, b[1:], nil
	case c < uint8c || c > int64c:
		return 0, false, nil, unfit(b, "an integer")
	}
	size := 1 << ((c - uint8c) & 3)
	if len(b) <= size {
		return 0, false, nil, ErrTruncated
	}
	p, rest := b[1:], b[1+size:]
	switch c {
	case uint8c:
		v = uint64(p[0])
	case uint16c:
		v = uint64(binary.BigEndian.Uint16(p))
	case uint32c:
		v = uint64(binary.BigEndian.Uint32(p))
	case uint64c, int64c:
		v = binary.BigEndian.Uint64(p)
	case int8c:
		v = uint64(int64(int8(p[0])))
	case int16c:
		v = uint64(int64(int16(binary.BigEndian.Uint16(p))))
	case int32c:
		v = uint64(int64(int32(binary.BigEndian.Uint32(p))))
	}
	return v, c >= int8c && int64(v) < 0, rest, nil
}

// readInt reads an integer into bits bits; one that does not fit is an error, never cut off.
func readInt(b []byte, bits uint) (int64, []byte, error) {
	u, negative, rest, err := readNumber(b)
	if err != nil {
		return 0, nil, err
	}
	v := int64(u)
	if negative != (v < 0) || v<<(64-bits)>>(64-bits) != v {
		return 0, nil, fmt.Errorf("cannot read an int%d from a larger number: %w", bits, ErrType)
	}
	return v, rest, nil
}

func readUint(b []byte, bits uint) (uint64, []byte, error) {
	v, negative, rest, err := readNumber(b)
	if err != nil {
		return 0, nil, err
	}
	if negative || v<<(64-bits)>>(64-bits) != v {
		return 0, nil, fmt.Errorf("cannot read a uint%d from a negative or larger number: %w", bits, ErrType)
	}
	return v, rest, nil
}

// readFloat64 takes integers too: other languages write 1.0 as 1.
func readFloat64(b []byte) (float64, []byte, error) {
	if len(b) >= 9 && b[0] == float64c {
		return math.Float64frombits(binary.BigEndian.Uint64(b[1:])), b[9:], nil
	}
	if len(b) > 0 && b[0] == float64c {
		return 0, nil, ErrTruncated
	}
	if len(b) > 0 && b[0] == float32c {
		v, rest, err := readFloat32(b)
		return float64(v), rest, err
	}
	u, negative, rest, err := readNumber(b)
	if err != nil {
		return 0, nil, err
	}
	if negative || int64(u) >= 0 {
		return float64(int64(u)), rest, nil
	}
	return float64(u), rest, nil
}

func readFloat32(b []byte) (float32, []byte, error) {
	switch {
	case len(b) >= 5 && b[0] == float32c:
		return math.Float32frombits(binary.BigEndian.Uint32(b[1:])), b[5:], nil
	case len(b) > 0 && b[0] == float32c:
		return 0, nil, ErrTruncated
	case len(b) > 0 && b[0] == float64c:
		return 0, nil, fmt.Errorf("cannot read a float32 from a float64: %w", ErrType)
	}
	v, rest, err := readFloat64(b)
	return float32(v), rest, err
}

// readBytes reads a string or a byte slice; the result aliases b and is nil for a nil.
func readBytes(b []byte) (v, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, ErrTruncated
	}
	var n, head uint64
	switch c := b[0]; {
	case c == cNil:
		return nil, b[1:], nil
	case c >= fixStr && c < cNil:
		n, head = uint64(c&31), 1
	case (c == str8 || c == bin8) && len(b) >= 2:
		n, head = uint64(b[1]), 2
	case (c == str16 || c == bin16) && len(b) >= 3:
		n, head = uint64(binary.BigEndian.Uint16(b[1:])), 3
	case (c == str32 || c == bin32) && len(b) >= 5:
		n, head = uint64(binary.BigEndian.Uint32(b[1:])), 5
	case c >= str8 && c <= str32, c >= bin8 && c <= bin32:
		return nil, nil, ErrTruncated
	default:
		return nil, nil, unfit(b, "a string or bytes")
	}
	if n > uint64(len(b))-head {
		return nil, nil, ErrTruncated
	}
	return b[head : head+n : head+n], b[head+n:], nil
}
