package command

import (
	"math"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
)

// set opens the set under a key. It answers if there is another kind of value.
func (r *run) openSet(key []byte) (s keyspace.SetKey, ok bool) {
	s, err := r.db.Set(key)
	return s, !r.failed(err)
}

func (r *run) sadd() {
	s, ok := r.openSet(r.args[1])
	if !ok {
		return
	}
	n := 0
	for _, m := range r.args[2:] {
		if s.Add(m) {
			n++
		}
	}
	r.sayInt(n)
}

func (r *run) srem() {
	s, ok := r.openSet(r.args[1])
	if !ok {
		return
	}
	n := 0
	for _, m := range r.args[2:] {
		if s.Remove(m) {
			n++
		}
	}
	r.sayInt(n)
}

func (r *run) sismember() {
	if s, ok := r.openSet(r.args[1]); ok {
		r.sayBool(s.Has(r.args[2]))
	}
}

func (r *run) smismember() {
	s, ok := r.openSet(r.args[1])
	if !ok {
		return
	}
	r.sayArray(len(r.args) - 2)
	for _, m := range r.args[2:] {
		r.sayBool(s.Has(m))
	}
}

func (r *run) smembers() {
	s, ok := r.openSet(r.args[1])
	if !ok {
		return
	}
	r.sayArray(s.Len())
	s.Names(func(m string) bool {
		r.sayBulk(m)
		return true
	})
}

func (r *run) scard() {
	if s, ok := r.openSet(r.args[1]); ok {
		r.sayInt(s.Len())
	}
}

func (r *run) spop() {
	if len(r.args) > 3 {
		r.fail(errSyntax)
		return
	}
	n, several := 1, len(r.args) == 3
	if several {
		var ok bool
		if n, ok = r.positive(r.args[2]); !ok {
			return
		}
	}
	s, ok := r.openSet(r.args[1])
	if !ok {
		return
	}
	n = min(n, s.Len())
	if several {
		r.sayArray(n)
	} else if n == 0 {
		r.sayNull()
	}
	for range n {
		m := s.At(r.c.Rand().IntN(s.Len()))
		s.Remove([]byte(m))
		r.sayBulk(m)
	}
}

func (r *run) srandmember() {
	if len(r.args) > 3 {
		r.fail(errSyntax)
		return
	}
	count := int64(1)
	if len(r.args) == 3 {
		var ok bool
		if count, ok = r.integer(r.args[2]); !ok {
			return
		}
		if count == math.MinInt64 {
			r.fail(errRange)
			return
		}
	}
	s, ok := r.openSet(r.args[1])
	switch {
	case !ok:
	case len(r.args) == 3:
		r.srandmembers(&s, count)
	case s.Len() == 0:
		r.sayNull()
	default:
		r.sayBulk(s.At(r.c.Rand().IntN(s.Len())))
	}
}

// srandmembers answers several random members: different ones, or, if the count is negative, any.
func (r *run) srandmembers(s *keyspace.SetKey, count int64) {
	if s.Len() == 0 {
		r.sayArray(0)
		return
	}
	if count >= 0 {
		n := min(clamp(count), s.Len())
		r.sayArray(n)
		for _, i := range r.pick(n, s.Len()) {
			r.sayBulk(s.At(i))
		}
		return
	}
	begin, n := len(r.out), clamp(-count)
	r.sayArray(n)
	for range n {
		if n > r.s.maxValue || len(r.out)-begin > r.s.maxValue { // no record could carry the reply
			r.out = r.out[:begin]
			r.fail(errTooLong)
			return
		}
		r.sayBulk(s.At(r.c.Rand().IntN(s.Len())))
	}
}

// pick chooses n different numbers below most (Floyd's method, in Bentley, "A Sample of Brilliance", 1987).
func (r *run) pick(n, most int) []int {
	chosen, list := make(map[int]bool, n), make([]int, 0, n)
	for i := most - n; i < most; i++ {
		j := r.c.Rand().IntN(i + 1)
		if chosen[j] {
			j = i
		}
		chosen[j] = true
		list = append(list, j)
	}
	return list
}

func (r *run) smove() {
	from, ok := r.openSet(r.args[1])
	if !ok {
		return
	}
	if !from.Exists() {
		r.sayBool(false)
		return
	}
	to, ok := r.openSet(r.args[2])
	if !ok {
		return
	}
	if string(r.args[1]) == string(r.args[2]) {
		r.sayBool(from.Has(r.args[3]))
		return
	}
	moved := from.Remove(r.args[3])
	if moved {
		to.Add(r.args[3])
	}
	r.sayBool(moved)
}

func (r *run) sinter()      { r.saySet(r.combine(r.args[1:], intersection)) }
func (r *run) sunion()      { r.saySet(r.combine(r.args[1:], union)) }
func (r *run) sdiff()       { r.saySet(r.combine(r.args[1:], difference)) }
func (r *run) sinterstore() { r.storeSet(r.combine(r.args[2:], intersection)) }
func (r *run) sunionstore() { r.storeSet(r.combine(r.args[2:], union)) }
func (r *run) sdiffstore()  { r.storeSet(r.combine(r.args[2:], difference)) }

// combine opens the sets under keys and combines them. It answers if there is another kind of value.
func (r *run) combine(keys [][]byte, how func([]keyspace.SetKey) []string) (members []string, ok bool) {
	sets := make([]keyspace.SetKey, len(keys))
	for i, k := range keys {
		if sets[i], ok = r.openSet(k); !ok {
			return nil, false
		}
	}
	return how(sets), true
}

// intersection returns the members that all sets have. It looks for those of the smallest one in the others.
func intersection(sets []keyspace.SetKey) (members []string) {
	least := 0
	for i := range sets {
		if sets[i].Len() < sets[least].Len() {
			least = i
		}
	}
	sets[least].Names(func(m string) bool {
		all := true
		for i := range sets {
			all = all && (i == least || sets[i].Has([]byte(m)))
		}
		if all {
			members = append(members, m)
		}
		return true
	})
	return members
}

// union returns the members that any set has.
func union(sets []keyspace.SetKey) (members []string) {
	seen := map[string]bool{}
	for i := range sets {
		sets[i].Names(func(m string) bool {
			if !seen[m] {
				seen[m] = true
				members = append(members, m)
			}
			return true
		})
	}
	return members
}

// difference returns the members that only the first set has.
func difference(sets []keyspace.SetKey) (members []string) {
	sets[0].Names(func(m string) bool {
		only := true
		for i := range sets[1:] {
			only = only && !sets[1+i].Has([]byte(m))
		}
		if only {
			members = append(members, m)
		}
		return true
	})
	return members
}

func (r *run) saySet(members []string, ok bool) {
	if !ok {
		return
	}
	r.sayArray(len(members))
	for _, m := range members {
		r.sayBulk(m)
	}
}

// storeSet makes the key named first hold the members.
func (r *run) storeSet(members []string, ok bool) {
	if !ok {
		return
	}
	r.db.Delete(r.args[1])
	s, _ := r.db.Set(r.args[1])
	for _, m := range members {
		s.Add([]byte(m))
	}
	r.sayInt(len(members))
}
