package control

import (
	"fmt"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// Message is one part of a checkpoint: an Open, a State, a FileState or a Point.
type Message interface {
	part() part
}

// part names a message type on the wire. Append only: a backup of a neighbouring version reads these numbers.
type part uint8

const (
	partOpen part = iota + 1
	partState
	partFileState
	partPoint
)

// Open carries what the backup needs to open one of the primary's files for itself (__ns_fget_file_open_state,
// __ns_backup_fopen). It is sent once a file, before the first FileState that names it.
type Open struct {
	File string // the program's name of the file
	Data []byte // msgpack of the open state
}

// State carries application data: one named value, or all of it.
type State struct {
	Name string
	Data []byte // msgpack of the value
}

// FileState carries the position and the pending work of one open file (__ns_fget_file_state, __ns_fset_file_state).
type FileState struct {
	File string
	Data []byte // msgpack of the file state
}

// Point carries the control state: the continuation point at which whoever takes over resumes, often nothing but its
// name (Guardian Programmer's Guide, 27-14).
type Point struct {
	Name string
	Data []byte // msgpack of what resuming there needs; may be empty
}

var (
	_ Message = Open{}
	_ Message = State{}
	_ Message = FileState{}
	_ Message = Point{}
)

func (Open) part() part      { return partOpen }
func (State) part() part     { return partState }
func (FileState) part() part { return partFileState }
func (Point) part() part     { return partPoint }

// OpenOf returns an Open of file whose data is the msgpack encoding of v.
func OpenOf(file string, v any) (Open, error) {
	b, err := encode("open state of "+file, v)
	return Open{File: file, Data: b}, err
}

// StateOf returns a State called name whose data is the msgpack encoding of v.
func StateOf(name string, v any) (State, error) {
	b, err := encode("state "+name, v)
	return State{Name: name, Data: b}, err
}

// FileStateOf returns a FileState of file whose data is the msgpack encoding of v.
func FileStateOf(file string, v any) (FileState, error) {
	b, err := encode("file state of "+file, v)
	return FileState{File: file, Data: b}, err
}

// PointOf returns a Point called name whose data is the msgpack encoding of v.
func PointOf(name string, v any) (Point, error) {
	b, err := encode("point "+name, v)
	return Point{Name: name, Data: b}, err
}

// Decode reads the open state into v, a pointer.
func (m Open) Decode(v any) error { return decode("open state of "+m.File, m.Data, v) }

// Decode reads the state into v, a pointer.
func (m State) Decode(v any) error { return decode("state "+m.Name, m.Data, v) }

// Decode reads the file state into v, a pointer.
func (m FileState) Decode(v any) error { return decode("file state of "+m.File, m.Data, v) }

// Decode reads what resuming at the point needs into v, a pointer.
func (m Point) Decode(v any) error { return decode("point "+m.Name, m.Data, v) }

func encode(what string, v any) ([]byte, error) {
	b, err := codec.Append(nil, v)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", what, err)
	}
	return b, nil
}

func decode(what string, b []byte, v any) error {
	if err := codec.Decode(b, v); err != nil {
		return fmt.Errorf("cannot decode %s: %w", what, err)
	}
	return nil
}
