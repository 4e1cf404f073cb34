package registry

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSlot: no slot makes the decoder panic, and what it accepts survives another trip. The input is tried as it is,
// and as the payload of a slot with a right header, so that the fuzzer gets past the checksum.
func FuzzSlot(f *testing.F) {
	p := fullPage()
	slot, err := appendSlot(nil, &p)
	require.NoError(f, err)
	f.Add(slot)
	f.Add(slot[slotHeader:])
	f.Add([]byte(nil))
	f.Add([]byte("\x81\xaaupdated_at\xc0"))                 // nil for a time
	f.Add([]byte("\x81\xaaupdated_at\xc7\x0c\xff"))         // a time that was cut
	f.Add([]byte("\x81\xa6notice\xdd\xff\xff\xff\xff"))     // 4 G strings
	f.Add([]byte("\x81\xa7program\xdb\xff\xff\xff\xffabc")) // a string of 4 GiB
	f.Add(append([]byte("\x81\xa1x"), bytes.Repeat([]byte{0x91}, slotSize-slotHeader-3)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkSlot(t, b)
		forged := append(make([]byte, slotHeader), b...)
		copy(forged, slotMagic)
		binary.LittleEndian.PutUint32(forged[4:], uint32(len(b)))
		binary.LittleEndian.PutUint32(forged[16:], slotChecksum(forged))
		checkSlot(t, forged)
	})
}

func checkSlot(t *testing.T, slot []byte) {
	version := uint64(0)
	if len(slot) >= slotHeader {
		version = binary.LittleEndian.Uint64(slot[8:])
	}
	p, err := decodeSlot(slot, version)
	if err != nil {
		require.ErrorIs(t, err, ErrCorruptPage)
		return
	}
	again, err := appendSlot(nil, &p)
	if err != nil {
		require.ErrorIs(t, err, ErrPageTooLarge)
		return
	}
	q, err := decodeSlot(again, version)
	require.NoError(t, err)
	require.Equal(t, inUTC(p), inUTC(q))
}

// FuzzFile: no page file makes a reader panic or go on without end.
func FuzzFile(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(file(f, tempRoot(f), 1)))
	f.Add([]byte(file(f, tempRoot(f), 1, 2, 3)))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := image(b).page()
		if err == nil {
			require.Equal(t, binary.LittleEndian.Uint64(b), p.Version)
		}
	})
}
