package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// ErrPageTooLarge says that a page does not fit a slot.
var ErrPageTooLarge = errors.New("page too large")

const (
	slotSize   = 4096
	slotHeader = 24
	slotMagic  = "TdP\x01"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// slotOffset is where in the file the page of that version stands.
func slotOffset(version uint64) int64 { return slotSize * (1 + int64(version%2)) }

// appendSlot appends p in the layout of a slot.
func appendSlot(dst []byte, p *Page) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, slotHeader)...)
	dst, err := codec.Append(dst, p)
	if err != nil {
		return dst[:at], err
	}
	slot := dst[at:]
	if len(slot) > slotSize {
		return dst[:at], fmt.Errorf("%w: %d bytes, at most %d fit", ErrPageTooLarge, len(slot), slotSize)
	}
	copy(slot, slotMagic)
	binary.LittleEndian.PutUint32(slot[4:], uint32(len(slot)-slotHeader))
	binary.LittleEndian.PutUint64(slot[8:], p.Version)
	binary.LittleEndian.PutUint32(slot[16:], slotChecksum(slot))
	return dst, nil
}

// slotChecksum leaves out the field in which it is stored, and the zeros after it.
func slotChecksum(slot []byte) uint32 {
	return crc32.Update(crc32.Checksum(slot[:16], castagnoli), castagnoli, slot[slotHeader:])
}

// decodeSlot reads the page of the version that is expected in slot. Its error is ErrCorruptPage.
func decodeSlot(slot []byte, version uint64) (Page, error) {
	if len(slot) < slotHeader || string(slot[:4]) != slotMagic {
		return Page{}, fmt.Errorf("%w: it does not begin with %q", ErrCorruptPage, slotMagic)
	}
	n := binary.LittleEndian.Uint32(slot[4:])
	if uint64(n) > uint64(len(slot)-slotHeader) {
		return Page{}, fmt.Errorf("%w: length %d, at most %d fit", ErrCorruptPage, n, len(slot)-slotHeader)
	}
	slot = slot[:slotHeader+n]
	if got := binary.LittleEndian.Uint64(slot[8:]); got != version {
		return Page{}, fmt.Errorf("%w: version %d, want %d", ErrCorruptPage, got, version)
	}
	if got, want := binary.LittleEndian.Uint32(slot[16:]), slotChecksum(slot); got != want {
		return Page{}, fmt.Errorf("%w: checksum %#08x, want %#08x", ErrCorruptPage, got, want)
	}
	var p Page
	if err := codec.Decode(slot[slotHeader:], &p); err != nil {
		return Page{}, fmt.Errorf("%w: %w", ErrCorruptPage, err)
	}
	p.Version = version
	return p, nil
}
