package keyspace

import (
	"encoding/binary"
	"unsafe"
)

// Kind is the type of what a key holds.
type Kind uint8

// The kinds. Their numbers are part of IDs, and so of the state.
const (
	None Kind = iota
	String
	List
	Set
	Hash
	ZSet
)

// String returns the name of the kind, as TYPE tells it.
func (k Kind) String() string {
	return [...]string{"none", "string", "list", "set", "hash", "zset"}[k]
}

// Entry is what stands under a key: the kind, when it expires, and a string's bytes or a collection's ID. It is packed
// into one string because that is encoded and decoded faster than anything else.
type Entry string

const entryHead = 1 + 8 // kind, deadline

// stringEntry returns the entry of a string, given in parts, that expires at a time, 0: never.
func stringEntry[T ~string | ~[]byte](expire int64, value ...T) Entry {
	n := entryHead
	for _, v := range value {
		n += len(v)
	}
	b := appendHead(make([]byte, 0, n), String, expire)
	for _, v := range value {
		b = append(b, v...)
	}
	return Entry(lent(b)) // for good
}

func collectionEntry(id uint64, expire int64) Entry {
	b := appendHead(make([]byte, 0, entryHead+8), kindOf(id), expire)
	return Entry(lent(binary.BigEndian.AppendUint64(b, id)))
}

func appendHead(dst []byte, k Kind, expire int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(k)), uint64(expire))
}

// lent is b as a string. It must not be kept if b will be changed.
func lent(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// number reads 8 bytes; 0 if there are fewer, which nobody here has written.
func number(s string) uint64 {
	if len(s) < 8 {
		return 0
	}
	return uint64(s[7]) | uint64(s[6])<<8 | uint64(s[5])<<16 | uint64(s[4])<<24 |
		uint64(s[3])<<32 | uint64(s[2])<<40 | uint64(s[1])<<48 | uint64(s[0])<<56
}

// Kind returns the type of the value; None for the Entry of a key that is not there.
func (e Entry) Kind() Kind {
	if len(e) < entryHead || Kind(e[0]) > ZSet {
		return None
	}
	return Kind(e[0])
}

// Expire returns when the key expires, in milliseconds since 1970; 0: never.
func (e Entry) Expire() int64 {
	if len(e) < entryHead {
		return 0
	}
	return int64(number(string(e[1:])))
}

// Value returns the bytes of a string.
func (e Entry) Value() string {
	if len(e) < entryHead {
		return ""
	}
	return string(e[entryHead:])
}

// expiring returns the entry with another deadline.
func (e Entry) expiring(at int64) Entry {
	b := appendHead(make([]byte, 0, len(e)), e.Kind(), at)
	return Entry(lent(append(b, e[entryHead:]...)))
}

// id returns the ID of a collection.
func (e Entry) id() uint64 { return number(e.Value()) }

// IDs of collections and spaces are never given twice. The lowest bits are the kind, None for a space.
const kindBits = 3

func kindOf(id uint64) Kind { return Kind(id & (1<<kindBits - 1)) }

// idOf reads the ID that a tracked key begins with, and its length.
func idOf(key string) (id uint64, size int) {
	for i := range len(key) {
		id |= uint64(key[i]&0x7f) << (7 * i)
		if key[i] < 0x80 {
			return id, i + 1
		}
	}
	return id, len(key)
}
