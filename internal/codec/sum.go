package codec

import (
	"encoding/binary"
	"math/bits"
)

// Sum returns a hash of the encoding b in which neither the order of the entries of a map counts, because Go writes
// them in any order, nor the width of an integer, because one held by an any changes it on the way. It is the same in every process, and no protection against someone who looks for collisions.
func Sum(b []byte) uint64 {
	if rest, err := Skip(b); err != nil || len(rest) > 0 {
		return sumBytes(b)
	}
	h, _ := sumValue(b)
	return h
}

// sumValue hashes the first value of b, which is known to be well formed and so at most MaxDepth deep.
func sumValue(b []byte) (h uint64, rest []byte) {
	t, _ := readToken(b)
	if v, negative, rest, err := readNumber(b); err == nil && b[0] != cNil {
		if negative {
			return Mix(1, v), rest
		}
		return Mix(2, v), rest
	}
	h, rest = sumBytes(b[:t.size]), b[t.size:]
	isMap := b[0] >= fixMap && b[0] < fixArray || b[0] == map16 || b[0] == map32
	if !isMap {
		for range t.elements {
			var e uint64
			e, rest = sumValue(rest)
			h = Mix(h, e)
		}
		return h, rest
	}
	var entries uint64
	for range t.elements / 2 {
		var k, v uint64
		k, rest = sumValue(rest)
		v, rest = sumValue(rest)
		entries += Mix(k, v) // a sum does not know an order
	}
	return Mix(h, entries), rest
}

func sumBytes(b []byte) uint64 {
	h := Mix(0, uint64(len(b)))
	for ; len(b) >= 8; b = b[8:] {
		h = Mix(h, binary.LittleEndian.Uint64(b))
	}
	var tail [8]byte
	copy(tail[:], b)
	return Mix(h, binary.LittleEndian.Uint64(tail[:]))
}

// Mix adds v to the hash h: both halves of a 128-bit product, so that each bit of either moves all bits of the result.
func Mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9e3779b97f4a7c15, v^0xbf58476d1ce4e5b9)
	return hi ^ lo ^ bits.RotateLeft64(h, 23) + v*0x94d049bb133111eb
}
