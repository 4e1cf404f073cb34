package command

import (
	"math"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
)

// zset opens the sorted set under a key. It answers if there is another kind of value.
func (r *run) zset(key []byte) (z keyspace.ZSetKey, ok bool) {
	z, err := r.db.ZSet(key)
	return z, !r.failed(err)
}

// addOptions are those of ZADD.
type addOptions struct{ nx, xx, gt, lt, ch, incr bool }

// parseAdd reads the options and returns what follows them: scores and members. It answers if they cannot be.
func (r *run) parseAdd() (o addOptions, pairs [][]byte, ok bool) {
	pairs = r.args[2:]
options:
	for ; len(pairs) > 0; pairs = pairs[1:] {
		switch a := pairs[0]; {
		case is(a, "nx"):
			o.nx = true
		case is(a, "xx"):
			o.xx = true
		case is(a, "gt"):
			o.gt = true
		case is(a, "lt"):
			o.lt = true
		case is(a, "ch"):
			o.ch = true
		case is(a, "incr"):
			o.incr = true
		default:
			break options
		}
	}
	problem := ""
	switch {
	case len(pairs) == 0 || len(pairs)%2 == 1:
		problem = errSyntax
	case o.nx && o.xx:
		problem = "ERR XX and NX options at the same time are not compatible"
	case o.gt && o.nx || o.lt && o.nx || o.gt && o.lt:
		problem = "ERR GT, LT, and/or NX options at the same time are not compatible"
	case o.incr && len(pairs) > 2:
		problem = "ERR INCR option supports a single increment-element pair"
	default:
		return o, pairs, true
	}
	r.fail(problem)
	return o, nil, false
}

func (r *run) zadd() {
	if o, pairs, ok := r.parseAdd(); ok {
		r.addScores(o, pairs)
	}
}

func (r *run) zincrby() { r.addScores(addOptions{incr: true}, r.args[2:]) }

func (r *run) addScores(o addOptions, pairs [][]byte) {
	var buf [8]float64
	scores := buf[:0]
	for i := 0; i < len(pairs); i += 2 {
		score, ok := float(pairs[i])
		if !ok {
			r.fail(errFloat)
			return
		}
		scores = append(scores, score)
	}
	z, ok := r.zset(r.args[1])
	if !ok {
		return
	}
	added, updated := 0, 0
	score, done := 0.0, false
	for i, s := range scores {
		var isNew, changed bool
		if score, isNew, changed, done = o.put(&z, pairs[2*i+1], s); math.IsNaN(score) {
			r.fail("ERR resulting score is not a number (NaN)")
			return
		}
		if isNew {
			added++
		} else if changed {
			updated++
		}
	}
	switch {
	case o.incr && !done:
		r.sayNull()
	case o.incr:
		r.sayFloat(score)
	case o.ch:
		r.sayInt(added + updated)
	default:
		r.sayInt(added)
	}
}

// put gives one member its score, if the options let it. Done says that they do, or that the score is what it was.
func (o addOptions) put(z *keyspace.ZSetKey, member []byte, score float64) (now float64, isNew, changed, done bool) {
	old, found := z.Score(member)
	switch {
	case !found && o.xx, found && o.nx:
		return 0, false, false, false
	case !found:
		z.Put(member, score)
		return score, true, true, true
	}
	if o.incr {
		score += old
	}
	switch {
	case math.IsNaN(score):
		return score, false, false, false
	case o.lt && score >= old, o.gt && score <= old:
		return 0, false, false, false
	case score != old:
		z.Put(member, score)
		changed = true
	}
	return score, false, changed, true
}

func (r *run) zrem() {
	z, ok := r.zset(r.args[1])
	if !ok {
		return
	}
	n := 0
	for _, m := range r.args[2:] {
		if z.Remove(m) {
			n++
		}
	}
	r.sayInt(n)
}

func (r *run) zscore() {
	if z, ok := r.zset(r.args[1]); ok {
		r.sayScore(&z, r.args[2])
	}
}

func (r *run) sayScore(z *keyspace.ZSetKey, member []byte) {
	if score, found := z.Score(member); found {
		r.sayFloat(score)
	} else {
		r.sayNull()
	}
}

func (r *run) zmscore() {
	z, ok := r.zset(r.args[1])
	if !ok {
		return
	}
	r.sayArray(len(r.args) - 2)
	for _, m := range r.args[2:] {
		r.sayScore(&z, m)
	}
}

func (r *run) zcard() {
	if z, ok := r.zset(r.args[1]); ok {
		r.sayInt(z.Len())
	}
}

func (r *run) zrank()    { r.rank(false) }
func (r *run) zrevrank() { r.rank(true) }

func (r *run) rank(reverse bool) {
	z, ok := r.zset(r.args[1])
	if !ok {
		return
	}
	i, _, found := z.Rank(r.args[2])
	if !found {
		r.sayNull()
		return
	}
	if reverse {
		i = z.Len() - 1 - i
	}
	r.sayInt(i)
}

func (r *run) zpopmin() { r.zpop(false) }
func (r *run) zpopmax() { r.zpop(true) }

func (r *run) zpop(highest bool) {
	if len(r.args) > 3 {
		r.fail(errSyntax)
		return
	}
	n := 1
	if len(r.args) == 3 {
		var ok bool
		if n, ok = r.positive(r.args[2]); !ok {
			return
		}
	}
	z, ok := r.zset(r.args[1])
	if !ok {
		return
	}
	n = min(n, z.Len())
	r.sayArray(2 * n)
	for range n {
		m := z.At(0)
		if highest {
			m = z.At(z.Len() - 1)
		}
		z.Remove([]byte(m.Name))
		r.sayBulk(m.Name)
		r.sayFloat(m.Score)
	}
}
