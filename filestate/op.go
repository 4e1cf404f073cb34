package filestate

import (
	"cmp"
	"math"
	"slices"
)

// OpKind names what an operation does. Append only: a neighbouring version of the program reads these numbers.
type OpKind uint8

const (
	OpWrite    OpKind = iota + 1 // Data at Off
	OpTruncate                   // the size becomes Off
	OpRename                     // From becomes Path
	OpSync                       // everything before reaches the disk
)

// Op is one planned operation on a File. It says what there is to be afterwards and not what is to change: an append has
// its offset already. So a list of them can be done again from its start, after any part of it has been done: for every byte,
// and for the size, the last operation that concerns it decides.
type Op struct {
	Kind OpKind `msgpack:"kind"`
	ID   uint64 `msgpack:"id"` // sync ID
	Off  int64  `msgpack:"off,omitempty"`
	Data []byte `msgpack:"data,omitempty"`
	From string `msgpack:"from,omitempty"`
	Path string `msgpack:"path,omitempty"`
}

// known tells whether this version of the program can do op.
func (op *Op) known() bool {
	return op.Kind >= OpWrite && op.Kind <= OpSync && op.Off >= 0 && op.Off <= math.MaxInt64-int64(len(op.Data))
}

func (op *Op) end() int64 { return op.Off + int64(len(op.Data)) }

// sizeAfter returns the size of a file of the given size when ops have been done.
func sizeAfter(size int64, ops []Op) int64 {
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case OpWrite:
			if len(op.Data) > 0 {
				size = max(size, op.end())
			}
		case OpTruncate:
			size = op.Off
		}
	}
	return size
}

// overlay makes b, which holds what a file has at off (zeros behind its end), what it will have when ops have been done.
func overlay(b []byte, off int64, ops []Op) {
	end := off + int64(len(b))
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case OpWrite:
			if from, to := max(off, op.Off), min(end, op.end()); from < to {
				copy(b[from-off:to-off], op.Data[from-op.Off:])
			}
		case OpTruncate:
			if op.Off < end {
				clear(b[max(op.Off-off, 0):])
			}
		}
	}
}

// span is a range of bytes in a file.
type span struct{ from, to int64 }

// uncovered returns the parts of s that no write among ops covers.
func uncovered(s span, ops []Op) []span {
	var writes []span
	for i := range ops {
		if ops[i].Kind == OpWrite {
			writes = append(writes, span{ops[i].Off, ops[i].end()})
		}
	}
	slices.SortFunc(writes, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var gaps []span
	for _, w := range writes {
		if gap := (span{s.from, min(w.from, s.to)}); gap.from < gap.to {
			gaps = append(gaps, gap)
		}
		s.from = max(s.from, w.to)
	}
	if s.from < s.to {
		gaps = append(gaps, s)
	}
	return gaps
}
