package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// Limits and version of the protocol.
const (
	// Version is the layout that this package writes, and the only one it reads.
	Version = 1

	// MaxPacket is the size of the largest packet in bytes, its header included: what a receive buffer must hold.
	MaxPacket = 128 << 10

	// MaxBody is the size of the largest body in bytes. One frame with such a body and any method fits a packet.
	MaxBody = MaxPacket - 512
)

// The reasons for which a packet is refused. A connection that delivered such a packet is to be closed.
var (
	ErrMagic     = errors.New("not a Tandem packet")
	ErrVersion   = errors.New("packet of another protocol version")
	ErrTruncated = errors.New("truncated packet")
	ErrTooLong   = errors.New("too long for a packet")
	ErrChecksum  = errors.New("damaged packet")
	ErrKind      = errors.New("frame without a kind")
)

const (
	packetHeader = 16
	magic        = "Td"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Begin appends room for a packet's header to dst. Frames are added with [Append], and [Finish] completes the packet.
func Begin(dst []byte) []byte {
	at := len(dst)
	return slices.Grow(dst, packetHeader)[:at+packetHeader]
}

// Finish fills in the header of pkt, which starts where [Begin] put it and ends with its last frame. A packet longer
// than [MaxPacket] is sealed like any other, and refused by whoever reads it.
func Finish(pkt []byte, epoch uint32) {
	copy(pkt[4:], magic)
	pkt[6], pkt[7] = Version, 0
	binary.LittleEndian.PutUint32(pkt[8:], uint32(len(pkt)-packetHeader))
	binary.LittleEndian.PutUint32(pkt[12:], epoch)
	binary.LittleEndian.PutUint32(pkt, checksum(pkt))
}

// Pack appends a whole packet with the single frame f to dst. Its errors are those of [Append].
func Pack(dst []byte, epoch uint32, f *Frame) ([]byte, error) {
	at := len(dst)
	pkt, err := Append(Begin(dst), f)
	if err != nil {
		return dst, err
	}
	Finish(pkt[at:], epoch)
	return pkt, nil
}

// checksum is of all that follows the four bytes in which it is stored.
func checksum(pkt []byte) uint32 { return crc32.Checksum(pkt[4:], castagnoli) }

// Packet is a packet that was read: the frames which [Packet.Next] has not returned yet. It aliases the bytes given
// to [Parse]. The zero Packet has no frames.
type Packet struct {
	epoch uint32
	rest  []byte
}

// Parse checks the packet that pkt consists of. Its errors are ErrTruncated, ErrTooLong, ErrMagic, ErrVersion and
// ErrChecksum; each says what was expected.
func Parse(pkt []byte) (Packet, error) {
	if len(pkt) < packetHeader || len(pkt) > MaxPacket || string(pkt[4:6]) != magic || pkt[6] != Version ||
		uint64(binary.LittleEndian.Uint32(pkt[8:])) != uint64(len(pkt)-packetHeader) ||
		binary.LittleEndian.Uint32(pkt) != checksum(pkt) {
		return Packet{}, fmt.Errorf("cannot read packet: %w", refusal(pkt))
	}
	return Packet{epoch: binary.LittleEndian.Uint32(pkt[12:]), rest: pkt[packetHeader:]}, nil
}

// refusal says what is wrong with a packet that Parse does not accept: the first thing, in the order of the layout.
func refusal(pkt []byte) error {
	switch {
	case len(pkt) < packetHeader:
		return fmt.Errorf("%w: %d bytes, a header has %d", ErrTruncated, len(pkt), packetHeader)
	case len(pkt) > MaxPacket:
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLong, len(pkt), MaxPacket)
	case string(pkt[4:6]) != magic:
		return fmt.Errorf("%w: bytes 4 and 5 are %q, want %q", ErrMagic, pkt[4:6], magic)
	case pkt[6] != Version:
		return fmt.Errorf("%w: version %d, want %d", ErrVersion, pkt[6], Version)
	}
	have, want := uint64(len(pkt)-packetHeader), uint64(binary.LittleEndian.Uint32(pkt[8:]))
	switch {
	case have < want:
		return fmt.Errorf("%w: %d bytes after the header, want %d", ErrTruncated, have, want)
	case have > want:
		return fmt.Errorf("%w: %d bytes after the header, want %d", ErrTooLong, have, want)
	}
	return fmt.Errorf("%w: checksum %#08x, want %#08x", ErrChecksum, binary.LittleEndian.Uint32(pkt), checksum(pkt))
}

// Epoch is the speaker's epoch.
func (p *Packet) Epoch() uint32 { return p.epoch }

// Next reads the next frame into f and reports whether there was one. f.Method and f.Body alias the packet. Kinds and
// flags that this package does not know are returned like others: the reader decides. The errors are ErrTruncated, for
// a frame that claims to be longer than its packet, and ErrKind: the speaker is wrong, for the checksum was right.
// After an error the packet has no more frames.
func (p *Packet) Next(f *Frame) (bool, error) {
	b := p.rest
	if len(b) == 0 {
		return false, nil
	}
	if len(b) < frameHeader {
		return p.stop(fmt.Errorf("%w: %d bytes left, a frame's header has %d", ErrTruncated, len(b), frameHeader))
	}
	method, body := uint64(b[2]), uint64(binary.LittleEndian.Uint32(b[4:]))
	end := frameHeader + method + body // 64 bits: cannot overflow
	padded := (end + align - 1) &^ (align - 1)
	if padded > uint64(len(b)) {
		return p.stop(fmt.Errorf("%w: %d bytes left, the frame has %d", ErrTruncated, len(b), padded))
	}
	if b[0] == 0 {
		return p.stop(ErrKind)
	}
	f.Kind, f.Flags, f.Priority = Kind(b[0]), b[1], b[3]
	f.ID = binary.LittleEndian.Uint64(b[8:])
	f.Low = binary.LittleEndian.Uint64(b[16:])
	f.Method = b[frameHeader : frameHeader+method : frameHeader+method]
	f.Body = b[frameHeader+method : end : end]
	p.rest = b[padded:]
	return true, nil
}

func (p *Packet) stop(err error) (bool, error) {
	p.rest = nil
	return false, fmt.Errorf("cannot read frame: %w", err)
}
