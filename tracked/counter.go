package tracked

import "github.com/1fb4ed1c/tandem/internal/codec"

// A Counter is a tracked number. It starts at zero.
type Counter struct{ v Value[int64] }

// NewCounter registers a Counter under a name that is unique in s.
func NewCounter(s *Store, name string) *Counter {
	c := &Counter{Value[int64]{is: kindCounter, codec: codec.For[int64]()}}
	s.register(&c.v.header, name, &c.v)
	return c
}

// Get returns the number.
func (c *Counter) Get() int64 { return c.v.v }

// Add adds delta, which may be negative, and returns the result. It wraps around as int64 does.
func (c *Counter) Add(delta int64) int64 {
	c.v.Set(c.v.v + delta)
	return c.v.v
}

// Set changes the number to n.
func (c *Counter) Set(n int64) { c.v.Set(n) }
