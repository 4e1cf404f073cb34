package checkpoint

import (
	"hash/crc32"
	"math/bits"
	"unsafe"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The standard library works on three streams at once from about this many bytes on, and wins. Below, most of its time
// is dispatch, which is most of the time of an append.
const shortSum = 4 << 10

// sum is the checksum of a record: the CRC-32C of its header, of the front half of its payload (whole words) and of the
// rest, turned by 0, 1 and 2 bits and added without carry. A CRC is one long chain of dependent instructions; three of
// them side by side take the time of the longest, and each finds what it finds alone.
func sum(header *[recordHeader]byte, payload []byte) uint32 {
	if len(payload) < shortSum && hasSumShort {
		return sumShort(header, payload)
	}
	return sumLong(header, payload)
}

func sumLong(header *[recordHeader]byte, payload []byte) uint32 {
	half := len(payload) / 2 &^ 7
	h := crc32.Checksum(header[:], castagnoli)
	front := crc32.Checksum(payload[:half], castagnoli)
	rest := crc32.Checksum(payload[half:], castagnoli)
	return h ^ bits.RotateLeft32(front, 1) ^ bits.RotateLeft32(rest, 2)
}

// copySum copies payload to dst, which has room for it, and returns its sum.
func copySum(dst *byte, header *[recordHeader]byte, payload []byte) uint32 {
	if len(payload) < shortSum && hasSumShort {
		return copySumShort(dst, header, payload)
	}
	copy(unsafe.Slice(dst, len(payload)), payload)
	return sumLong(header, payload)
}
