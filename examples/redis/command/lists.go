package command

import (
	"math"

	"github.com/1fb4ed1c/tandem/examples/redis/keyspace"
	"github.com/1fb4ed1c/tandem/examples/redis/resp"
)

// list opens the list under a key. It answers if there is another kind of value.
func (r *run) list(key []byte) (l keyspace.ListKey, ok bool) {
	l, err := r.db.List(key)
	return l, !r.failed(err)
}

func (r *run) lpush()  { r.push(true, false) }
func (r *run) rpush()  { r.push(false, false) }
func (r *run) lpushx() { r.push(true, true) }
func (r *run) rpushx() { r.push(false, true) }

func (r *run) push(head, onlyIfThere bool) {
	l, ok := r.list(r.args[1])
	if !ok {
		return
	}
	if !onlyIfThere || l.Exists() {
		for _, v := range r.args[2:] {
			l.Push(head, string(v))
		}
	}
	r.sayInt(l.Len())
}

func (r *run) lpop() { r.pop(true) }
func (r *run) rpop() { r.pop(false) }

func (r *run) pop(head bool) {
	if len(r.args) > 3 {
		r.arity()
		return
	}
	n, several := 1, len(r.args) == 3
	if several {
		var ok bool
		if n, ok = r.positive(r.args[2]); !ok {
			return
		}
	}
	l, ok := r.list(r.args[1])
	switch {
	case !ok:
	case !l.Exists() && several:
		r.sayNullArray()
	case !several:
		r.sayMaybe(l.Pop(head))
	default:
		n = min(n, l.Len())
		r.sayArray(n)
		for range n {
			v, _ := l.Pop(head)
			r.sayBulk(v)
		}
	}
}

func (r *run) llen() {
	if l, ok := r.list(r.args[1]); ok {
		r.sayInt(l.Len())
	}
}

// indexes reads two arguments that are indexes.
func (r *run) indexes() (from, to int64, ok bool) {
	if from, ok = r.integer(r.args[2]); !ok {
		return 0, 0, false
	}
	to, ok = r.integer(r.args[3])
	return from, to, ok
}

func (r *run) lrange() {
	from, to, ok := r.indexes()
	if !ok {
		return
	}
	l, ok := r.list(r.args[1])
	if !ok {
		return
	}
	first, n := span(from, to, l.Len())
	r.sayArray(n)
	l.Range(first, n, func(v string) bool {
		r.sayBulk(v)
		return true
	})
}

// index makes an index, which may count from the end, one of n elements; -1 if there is none.
func index(i int64, n int) int {
	if i < 0 {
		i += int64(n)
	}
	if i < 0 || i >= int64(n) {
		return -1
	}
	return int(i)
}

func (r *run) lindex() {
	l, ok := r.list(r.args[1])
	if !ok {
		return
	}
	if !l.Exists() {
		r.sayNull()
		return
	}
	i, ok := r.integer(r.args[2])
	if !ok {
		return
	}
	if at := index(i, l.Len()); at >= 0 {
		r.sayBulk(l.At(at))
	} else {
		r.sayNull()
	}
}

func (r *run) lset() {
	l, ok := r.list(r.args[1])
	if !ok {
		return
	}
	if !l.Exists() {
		r.fail(errNoKey)
		return
	}
	i, ok := r.integer(r.args[2])
	if !ok {
		return
	}
	at := index(i, l.Len())
	if at < 0 {
		r.fail(errIndex)
		return
	}
	l.Replace(at, string(r.args[3]))
	r.sayOK()
}

func (r *run) linsert() {
	after := is(r.args[2], "after")
	if !after && !is(r.args[2], "before") {
		r.fail(errSyntax)
		return
	}
	l, ok := r.list(r.args[1])
	if !ok {
		return
	}
	at, found := 0, false
	l.Range(0, l.Len(), func(v string) bool {
		if found = v == string(r.args[3]); !found {
			at++
		}
		return !found
	})
	switch {
	case !l.Exists():
		r.sayInt(0)
	case !found:
		r.sayInt(-1)
	default:
		if after {
			at++
		}
		l.Insert(at, string(r.args[4]))
		r.sayInt(l.Len())
	}
}

func (r *run) lrem() {
	n, ok := r.integer(r.args[2])
	if !ok {
		return
	}
	if l, ok := r.list(r.args[1]); ok {
		r.sayInt(l.RemoveValue(string(r.args[3]), clamp(max(n, -n)), n >= 0))
	}
}

func (r *run) ltrim() {
	from, to, ok := r.indexes()
	if !ok {
		return
	}
	l, ok := r.list(r.args[1])
	if !ok {
		return
	}
	length := l.Len()
	first, n := span(from, to, length)
	if n == 0 {
		r.db.Delete(r.args[1])
	} else {
		for range first {
			l.Pop(true)
		}
		for range length - first - n {
			l.Pop(false)
		}
	}
	r.sayOK()
}

func (r *run) rpoplpush() { r.move(false, true) }

func (r *run) lmove() {
	from, ok1 := side(r.args[3])
	to, ok2 := side(r.args[4])
	if !ok1 || !ok2 {
		r.fail(errSyntax)
		return
	}
	r.move(from, to)
}

// side reads LEFT or RIGHT.
func side(arg []byte) (head, ok bool) {
	head = is(arg, "left")
	return head, head || is(arg, "right")
}

// move takes an element from one end of a list to one end of another, or of the same.
func (r *run) move(fromHead, toHead bool) {
	from, ok := r.list(r.args[1])
	if !ok {
		return
	}
	if !from.Exists() {
		r.sayNull()
		return
	}
	to, ok := r.list(r.args[2])
	if !ok {
		return
	}
	if string(r.args[1]) == string(r.args[2]) {
		if from.Len() == 1 { // it stays, and so does the deadline of the key
			v := from.At(0)
			from.Replace(0, v)
			r.sayBulk(v)
			return
		}
		v, _ := from.Pop(fromHead)
		from.Push(toHead, v)
		r.sayBulk(v)
		return
	}
	v, _ := from.Pop(fromHead)
	to.Push(toHead, v)
	r.sayBulk(v)
}

// lposOptions are those of LPOS.
type lposOptions struct {
	rank, most, length int // most: 0 for all; length: 0 for no bound
	several            bool
}

func (r *run) parseLpos() (o lposOptions, ok bool) {
	o = lposOptions{rank: 1, most: 1}
	for rest := r.args[3:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) == 1 {
			r.fail(errSyntax)
			return o, false
		}
		n, number := resp.Integer(rest[1])
		var problem string
		switch {
		case is(rest[0], "rank"):
			switch {
			case !number:
				problem = errInteger
			case n == 0:
				problem = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
			case n == math.MinInt64:
				problem = errRange
			}
			o.rank = clamp(n)
		case is(rest[0], "count"):
			if !number || n < 0 {
				problem = "ERR COUNT can't be negative"
			}
			o.most, o.several = clamp(n), true
		case is(rest[0], "maxlen"):
			if !number || n < 0 {
				problem = "ERR MAXLEN can't be negative"
			}
			o.length = clamp(n)
		default:
			problem = errSyntax
		}
		if problem != "" {
			r.fail(problem)
			return o, false
		}
	}
	return o, true
}

func (r *run) lpos() {
	o, ok := r.parseLpos()
	if !ok {
		return
	}
	l, ok := r.list(r.args[1])
	if !ok {
		return
	}
	var found []int
	looked, skip := 0, max(o.rank, -o.rank)-1
	look := func(v string) bool {
		at := looked
		looked++
		if v == string(r.args[2]) {
			if skip--; skip < 0 {
				if o.rank < 0 {
					at = l.Len() - 1 - at
				}
				found = append(found, at)
			}
		}
		return (o.most == 0 || len(found) < o.most) && (o.length == 0 || looked < o.length)
	}
	if o.rank > 0 {
		l.Range(0, l.Len(), look)
	} else {
		l.Backwards(look)
	}
	switch {
	case o.several:
		r.sayArray(len(found))
		for _, at := range found {
			r.sayInt(at)
		}
	case len(found) > 0:
		r.sayInt(found[0])
	default:
		r.sayNull()
	}
}
