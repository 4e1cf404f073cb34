package codec

import "errors"

var (
	// ErrTruncated means that the input ends before its value does, or that a length in it is larger than the rest.
	ErrTruncated = errors.New("value goes on after the end of the input")
	// ErrTrailing means that there are bytes after the value.
	ErrTrailing = errors.New("bytes after the end of the value")
	// ErrTooDeep means that arrays and maps are nested more than MaxDepth levels deep.
	ErrTooDeep = errors.New("nested too deeply")
	// ErrType means that the input holds a value of another type or outside the range of the type asked for.
	ErrType = errors.New("value does not fit the type")
)

// MaxDepth bounds the nesting of arrays and maps, and with it the stack of whoever reads them. A value nested deeper
// is refused by Append too. (encoding/json has the same bound.)
const MaxDepth = 10000
