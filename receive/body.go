package receive

import (
	"fmt"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// Decode reads the body of a request that was made with Call into v, a pointer. ErrBadRequest: it is something else; a
// server can answer with this error as it is.
func (r *Request) Decode(v any) error {
	if err := codec.Decode(r.Body, v); err != nil {
		return fmt.Errorf("cannot read a request for %s as %T (%v): %w", r.Method, v, err, ErrBadRequest)
	}
	return nil
}

// Encode returns v in msgpack, as Call expects a reply.
func Encode(v any) ([]byte, error) {
	b, err := codec.Append(nil, v)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a reply: %w", err)
	}
	return b, nil
}
