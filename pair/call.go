package pair

import (
	"math/rand/v2"
	"time"
)

// Call is one request being handled. It is valid during the handler only.
type Call struct {
	svc    *Service
	method string
	opener uint64
	id     uint64
	wall   int64 // Unix nanoseconds
	mono   time.Duration
	seed   uint64
	rng    *rand.Rand
	pcg    rand.PCG
	seeded bool
	hangup bool
	number uint64 // counts the calls of this process
	remote string // of a client whose connection is not a stream of the member's
}

// Now returns the time of the call. It is recorded: a backup that runs the same call sees the same time.
func (c *Call) Now() time.Time { return time.Unix(0, c.wall) }

// Rand returns a source of random numbers that gives the same numbers wherever the call is run.
func (c *Call) Rand() *rand.Rand {
	if !c.seeded {
		c.pcg.Seed(c.seed, c.id)
		c.rng, c.seeded = rand.New(&c.pcg), true
	}
	return c.rng
}

// Method returns the name under which the request came.
func (c *Call) Method() string { return c.method }

// Opener returns the number of the requester's open, or of a client's connection. It is 0 for a timer.
func (c *Call) Opener() uint64 { return c.opener }

// SyncID returns the number of the request within its open: the same when it is repeated. Of a stream it is the position
// where the request ends.
func (c *Call) SyncID() uint64 { return c.id }

// Undo gives up every change that this call has made so far. It is for protocols that answer errors themselves.
func (c *Call) Undo() {
	c.svc.rollback()
	c.svc.store.Begin()
}

// Hangup closes the connection of a stream after the reply to this request.
func (c *Call) Hangup() { c.hangup = true }

// Remote returns the address of the client of a stream, or of [HTTPS], for logs. It is empty for other calls, and, where a
// backup computes, for a connection that has ended meanwhile: no change may depend on it.
func (c *Call) Remote() string {
	if o := c.svc.m.seats.of[c.opener]; o != nil && o.stream != nil {
		return o.stream.remote
	}
	return c.remote
}
