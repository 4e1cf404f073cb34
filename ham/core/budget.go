package core

import (
	"math"
	"time"
)

// limit and the other methods give the fields their defaults.
func (b *Budget) limit() int {
	if b.Limit == 0 {
		return 10
	}
	return b.Limit
}

// Defaults returns the budget with its defaults in place of what is zero.
func (b Budget) Defaults() Budget {
	b.Limit, b.Half, b.Delay, b.Factor, b.Cap, b.Healthy = b.limit(), b.half(), b.delay(), b.factor(), b.cap(), b.healthy()
	return b
}

func (b *Budget) half() time.Duration    { return orElse(b.Half, time.Minute) }
func (b *Budget) delay() time.Duration   { return orElse(b.Delay, 100*time.Millisecond) }
func (b *Budget) cap() time.Duration     { return orElse(b.Cap, 30*time.Second) }
func (b *Budget) healthy() time.Duration { return orElse(b.Healthy, 10*time.Second) }

func (b *Budget) factor() float64 {
	if b.Factor == 0 {
		return 2
	}
	return b.Factor
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// longest returns the longest delay there is, without jitter.
func (b *Budget) longest() time.Duration {
	if len(b.Delays) > 0 {
		return b.Delays[len(b.Delays)-1]
	}
	return b.cap()
}

// after returns the delay before a restart that makes the count n.
func (b *Budget) after(n float64) time.Duration {
	if len(b.Delays) > 0 {
		return b.Delays[min(max(int(math.Round(n))-1, 0), len(b.Delays)-1)]
	}
	if n <= 1 {
		return 0
	}
	d := float64(b.delay()) * math.Pow(b.factor(), max(n-2, 0))
	return time.Duration(min(d, float64(b.cap())))
}

// spend takes one restart out of the budget of an entity and returns how long to wait before it; not ok: there is none left.
func (m *Machine) spend(e *Entity) (delay time.Duration, ok bool) {
	b, s, now := &e.Settings.Restart, &e.Spent, m.now.At
	if s.Lived >= b.healthy() {
		s.Count = 0
	}
	s.Lived = 0
	if s.Count > 0 {
		s.Count *= math.Pow(.5, float64(now-s.Last)/float64(b.half()))
	}
	s.Last = now
	if limit := b.limit(); limit > 0 && s.Count+1 > float64(limit) {
		if !b.Slow {
			return 0, false
		}
		return m.jitter(e, b.longest()), true // the count stays where it is: full
	}
	s.Count++
	return m.jitter(e, b.after(s.Count)), true
}

// jitter adds the part of a delay that is drawn by lot: so what died together does not come back together.
func (m *Machine) jitter(e *Entity, d time.Duration) time.Duration {
	lot := float64(scramble(m.now.Seed^scramble(e.Generation))>>11) / (1 << 53)
	return d + time.Duration(float64(d)*e.Settings.Restart.Jitter*lot)
}

// scramble is the finalizer of SplitMix64: every bit of x counts in every bit of the result.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
