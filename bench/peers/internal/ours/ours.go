// Package ours is what the pair that takes part says to its clients. Invariant: both programs of this module have the same types.
package ours

// The methods of the pair: MethodAdd takes an int64 and replies with Added, MethodPut takes a Put.
const (
	MethodAdd = "add"
	MethodPut = "put"
)

// Added is the reply to an addition.
type Added struct {
	Count int64
	PID   int
}

// Put stores a value under a key. The reply is its length.
type Put struct {
	Key   uint32 `msgpack:"k"`
	Value []byte `msgpack:"v"`
}
