package control

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed is returned by Parse for bytes that are no checkpoint.
var ErrMalformed = errors.New("malformed checkpoint")

// Append appends the encoding of one checkpoint, all of msgs in order, to dst. Every message is: its part number (1 byte),
// the length of its name (2 bytes) and of its data (4 bytes), little endian, then both.
func Append(dst []byte, msgs ...Message) ([]byte, error) {
	for _, m := range msgs {
		name, data := fields(m)
		if len(name) > math.MaxUint16 {
			return dst, fmt.Errorf("cannot encode checkpoint: a name of %d bytes, expected at most %d", len(name), math.MaxUint16)
		}
		if uint64(len(data)) > math.MaxUint32 {
			return dst, fmt.Errorf("cannot encode checkpoint: %q holds %d bytes, expected at most %d", name, len(data), uint32(math.MaxUint32))
		}
		dst = append(dst, byte(m.part()))
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(name)))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(data)))
		dst = append(dst, name...)
		dst = append(dst, data...)
	}
	return dst, nil
}

func fields(m Message) (name string, data []byte) {
	switch m := m.(type) {
	case Open:
		return m.File, m.Data
	case State:
		return m.Name, m.Data
	case FileState:
		return m.File, m.Data
	case Point:
		return m.Name, m.Data
	}
	return "", nil
}

// Parse is the reverse of Append. The messages do not alias b. Any bytes at all give messages or ErrMalformed.
func Parse(b []byte) ([]Message, error) {
	const header = 1 + 2 + 4
	var msgs []Message
	for len(b) > 0 {
		if len(b) < header {
			return nil, fmt.Errorf("cannot read checkpoint: %d bytes left, expected a header of %d: %w", len(b), header, ErrMalformed)
		}
		kind := part(b[0])
		nameLen := int(binary.LittleEndian.Uint16(b[1:]))
		dataLen := uint64(binary.LittleEndian.Uint32(b[3:]))
		b = b[header:]
		if uint64(nameLen)+dataLen > uint64(len(b)) {
			return nil, fmt.Errorf("cannot read checkpoint: %d bytes left, expected %d: %w", len(b), uint64(nameLen)+dataLen, ErrMalformed)
		}
		name := string(b[:nameLen])
		data := append([]byte(nil), b[nameLen:nameLen+int(dataLen)]...)
		b = b[nameLen+int(dataLen):]
		m, err := message(kind, name, data)
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, m)
	}
	return msgs, nil
}

func message(kind part, name string, data []byte) (Message, error) {
	switch kind {
	case partOpen:
		return Open{File: name, Data: data}, nil
	case partState:
		return State{Name: name, Data: data}, nil
	case partFileState:
		return FileState{File: name, Data: data}, nil
	case partPoint:
		return Point{Name: name, Data: data}, nil
	}
	return nil, fmt.Errorf("cannot read checkpoint: part %d, expected %d to %d: %w", kind, partOpen, partPoint, ErrMalformed)
}
