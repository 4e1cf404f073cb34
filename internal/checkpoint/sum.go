package checkpoint

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The standard library works on three streams at once from this many bytes on, and wins. Below, most of its time
// is dispatch, which is most of the time of an append.
const shortSum = 504

// sum adds b to a CRC-32C.
func sum(crc uint32, b []byte) uint32 {
	if len(b) < shortSum && hasSumShort {
		return sumShort(crc, b)
	}
	return crc32.Update(crc, castagnoli, b)
}
