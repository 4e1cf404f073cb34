package receive

import (
	"context"

	"github.com/1fb4ed1c/tandem/internal/codec"
)

// A call does not keep buffers above bigBuffer for the next one.
const bigBuffer = 64 << 10

// WriteRead sends a request and returns the reply, as bytes. It is applied at
// most once, whatever happens to the server meanwhile, and body must not change
// until it returns. An error is an *Error and says whether the request may have
// been applied (MayBeApplied); ErrTimeout and ErrCancelled wrap the error of ctx,
// whose end is noticed within a few milliseconds.
func (c *Conn) WriteRead(ctx context.Context, method string, body []byte) ([]byte, error) {
	k := c.get(method)
	defer c.put(k)
	k.body = body
	if err := c.do(ctx, k); err != nil {
		return nil, err
	}
	return k.takeReply(), nil
}

// takeReply returns a copy of the reply, nil if it is empty.
func (k *call) takeReply() []byte { return append([]byte(nil), k.reply...) }

// Call sends a request in msgpack and decodes the reply. See WriteRead. If the
// reply cannot be decoded, the request has been applied all the same, and the
// error says Maybe. An empty reply is the zero Rep.
func Call[Rep any](ctx context.Context, c *Conn, method string, req any) (Rep, error) {
	var rep Rep
	k := c.get(method)
	defer c.put(k)
	var err error
	if k.enc, err = codec.Append(k.enc[:0], req); err != nil {
		return rep, failed(c.s.op(k), ErrBadRequest, No, err)
	}
	k.body = k.enc
	if err := c.do(ctx, k); err != nil {
		return rep, err
	}
	if len(k.reply) == 0 {
		return rep, nil
	}
	if err := codec.Decode(k.reply, &rep); err != nil {
		return rep, failed(c.s.op(k), ErrBadRequest, Maybe, err)
	}
	return rep, nil
}

// get returns a call to be filled in.
func (c *Conn) get(method string) *call {
	k, _ := c.pool.Get().(*call)
	if k == nil {
		k = &call{wake: make(chan struct{}, 1)}
	}
	k.method = append(k.method[:0], method...)
	return k
}

// put takes a call back that is over, so that nobody else knows it any more.
func (c *Conn) put(k *call) {
	select {
	case <-k.wake:
	default:
	}
	next := call{wake: k.wake, method: k.method, reply: k.reply[:0], enc: k.enc[:0]}
	if cap(next.reply) > bigBuffer {
		next.reply = nil
	}
	if cap(next.enc) > bigBuffer {
		next.enc = nil
	}
	*k = next
	c.pool.Put(k)
}
