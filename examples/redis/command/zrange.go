package command

import (
	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// by says what a range of a sorted set is a range of.
type by uint8

const (
	byRank by = iota
	byScore
	byName
)

// reading is a range of a sorted set that is to be answered.
type reading struct {
	by                   by
	reverse, scores      bool
	limited              bool
	offset, limit        int // limit: negative for no limit
	anyOrder, anyReverse bool
}

func (r *run) zrange()           { r.read(reading{anyOrder: true, anyReverse: true}) }
func (r *run) zrevrange()        { r.read(reading{reverse: true}) }
func (r *run) zrangebyscore()    { r.read(reading{by: byScore}) }
func (r *run) zrevrangebyscore() { r.read(reading{by: byScore, reverse: true}) }
func (r *run) zrangebylex()      { r.read(reading{by: byName}) }
func (r *run) zrevrangebylex()   { r.read(reading{by: byName, reverse: true}) }

// parse reads the options. It answers if they cannot be.
func (q *reading) parse(r *run) bool {
	q.limit = -1
	for rest := r.args[4:]; len(rest) > 0; rest = rest[1:] {
		switch a := rest[0]; {
		case is(a, "withscores"):
			q.scores = true
		case is(a, "limit") && len(rest) > 2:
			offset, ok := r.integer(rest[1])
			if !ok {
				return false
			}
			limit, ok := r.integer(rest[2])
			if !ok {
				return false
			}
			q.limited, q.offset, q.limit = true, clamp(offset), clamp(limit)
			rest = rest[2:]
		case is(a, "rev") && q.anyReverse:
			q.reverse = true
		case is(a, "bylex") && q.anyOrder:
			q.by = byName
		case is(a, "byscore") && q.anyOrder:
			q.by = byScore
		default:
			r.fail(errSyntax)
			return false
		}
	}
	switch {
	case q.limited && q.limit != -1 && q.by == byRank:
		r.fail("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	case q.scores && q.by == byName:
		r.fail("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
	default:
		return true
	}
	return false
}

func (r *run) read(q reading) {
	if !q.parse(r) {
		return
	}
	low, high := r.args[2], r.args[3]
	if q.reverse && q.by != byRank {
		low, high = high, low
	}
	b, ok := r.bounds(q.by, low, high)
	if !ok {
		return
	}
	z, ok := r.zset(r.args[1])
	if !ok {
		return
	}
	first, n := b.find(&z, q.reverse)
	if q.by != byRank {
		first, n = q.part(first, n)
	}
	if q.scores {
		r.sayArray(2 * n)
	} else {
		r.sayArray(n)
	}
	if q.reverse {
		first = z.Len() - 1 - first
	}
	z.Range(first, n, q.reverse, func(m keyspace.Member) {
		r.sayBulk(m.Name)
		if q.scores {
			r.sayFloat(m.Score)
		}
	})
}

// part returns the part of a range that LIMIT asks for.
func (q *reading) part(first, n int) (int, int) {
	if q.offset < 0 || q.offset >= n {
		return 0, 0
	}
	if n -= q.offset; q.limit >= 0 {
		n = min(n, q.limit)
	}
	return first + q.offset, n
}

// bounds are the two ends of a range.
type bounds struct {
	by        by
	from, to  int64 // byRank
	low, high bound
}

// bound is one end of a range of scores or of names.
type bound struct {
	score   float64
	name    string
	edge    int  // byName: -1 lies before all names, 1 behind them
	outside bool // what equals it does not belong to the range
}

// bounds reads the two ends of a range. It answers if they cannot be.
func (r *run) bounds(what by, low, high []byte) (b bounds, ok bool) {
	b.by = what
	switch what {
	case byScore:
		var ok1, ok2 bool
		b.low, ok1 = scoreBound(low)
		b.high, ok2 = scoreBound(high)
		if ok = ok1 && ok2; !ok {
			r.fail(errMinMax)
		}
	case byName:
		var ok1, ok2 bool
		b.low, ok1 = nameBound(low)
		b.high, ok2 = nameBound(high)
		if ok = ok1 && ok2; !ok {
			r.fail(errLexRange)
		}
	default:
		if b.from, ok = resp.Integer(low); ok {
			b.to, ok = resp.Integer(high)
		}
		if !ok {
			r.fail(errInteger)
		}
	}
	return b, ok
}

func scoreBound(arg []byte) (b bound, ok bool) {
	if len(arg) > 0 && arg[0] == '(' {
		b.outside = true
		arg = arg[1:]
	}
	b.score, ok = float(arg)
	return b, ok
}

func nameBound(arg []byte) (b bound, ok bool) {
	switch {
	case string(arg) == "-":
		return bound{edge: -1}, true
	case string(arg) == "+":
		return bound{edge: 1}, true
	case len(arg) > 0 && arg[0] == '[':
		return bound{name: string(arg[1:])}, true
	case len(arg) > 0 && arg[0] == '(':
		return bound{name: string(arg[1:]), outside: true}, true
	}
	return bound{}, false
}

// find returns the range as members: the number of the first, counted from the end if reverse, and how many.
func (b *bounds) find(z *keyspace.ZSetKey, reverse bool) (first, n int) {
	if b.by == byRank {
		return span(b.from, b.to, z.Len())
	}
	start := z.First(func(m keyspace.Member) bool { return b.low.before(b.by, m, b.low.outside) })
	end := z.First(func(m keyspace.Member) bool { return b.high.before(b.by, m, !b.high.outside) })
	if start >= end {
		return 0, 0
	}
	if reverse {
		return z.Len() - end, end - start
	}
	return start, end - start
}

// before reports whether a member lies behind the bound, or, unless strict, at it.
func (b *bound) before(what by, m keyspace.Member, strict bool) bool {
	switch {
	case what == byScore:
		return m.Score > b.score || m.Score == b.score && !strict
	case b.edge != 0:
		return b.edge < 0
	}
	return m.Name > b.name || m.Name == b.name && !strict
}

func (r *run) zcount()    { r.countRange(byScore) }
func (r *run) zlexcount() { r.countRange(byName) }

func (r *run) countRange(what by) {
	b, ok := r.bounds(what, r.args[2], r.args[3])
	if !ok {
		return
	}
	if z, ok := r.zset(r.args[1]); ok {
		_, n := b.find(&z, false)
		r.sayInt(n)
	}
}

func (r *run) zremrangebyrank()  { r.removeRange(byRank) }
func (r *run) zremrangebyscore() { r.removeRange(byScore) }
func (r *run) zremrangebylex()   { r.removeRange(byName) }

func (r *run) removeRange(what by) {
	b, ok := r.bounds(what, r.args[2], r.args[3])
	if !ok {
		return
	}
	z, ok := r.zset(r.args[1])
	if !ok {
		return
	}
	first, n := b.find(&z, false)
	if n == z.Len() {
		r.db.Delete(r.args[1])
	} else {
		for range n {
			z.Remove([]byte(z.At(first).Name))
		}
	}
	r.sayInt(n)
}
